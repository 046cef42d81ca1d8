// Notice: what an actor is told, once, when an actor or a node that it watches has ended.
//
// Values. How it is asked for is ActorContext's (actor.h); the rules are docs/protocol.md P6.16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "troupe/actors/any_ref.h"

namespace troupe {

// Of one actor, each: whom it watches, actors and nodes together; and by whom it is watched.
inline constexpr size_t kWatchedMax = 1024;
inline constexpr size_t kWatchersMax = 1024;
// Of both, as they travel with each change of either. With all else of an actor it fits a frame.
inline constexpr size_t kWatchesBytesMax = 160 << 10;
inline constexpr size_t kNoticeTextMax = 160;  // Bytes of a notice's text; cut beyond.

struct Notice {
  enum class Why : uint8_t {
    kErased,     // It called Erase().
    kStopped,    // A turn of it failed, and its type says *stop*. The next call begins it anew.
    kSuspended,  // It failed too often, and refuses its calls for now.
    kStateLost,  // All copies of its shard are gone, and what it knew with them.
    kNodeGone,   // Of a node: this run of it is fenced, has left, or was not there.
    kRefused,    // It is not watched: it has too many watchers, or its node says no.
  };
  AnyRef who;        // Refers to nobody when it is a node.
  std::string node;  // The name, when it is a node.
  Why why = Why::kErased;
  std::string text;  // In words; ends in "…" when it was cut.
};

const char* Name(Notice::Why why);  // "erased"

}  // namespace troupe
