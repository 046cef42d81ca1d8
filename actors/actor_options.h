// ActorTypeOptions: what a program decides for all actors of one type.
//
// Values; given to Main::Host() or Registry::Host(), the same on every node that hosts the type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace troupe {

// What follows when a turn fails (docs/decisions/0010-supervision.md).
struct Supervision {
  enum class Directive : uint8_t {
    kRestart,   // The turn is undone; the actor goes on from its last snapshot, in a new object.
    kResume,    // What the turn changed stays, and is replicated with the record of its error.
    kStop,      // As kRestart, but the calls that wait get the error: they were sent to an actor
                // that is no more. The next call, or reminder, begins it anew.
    kEscalate,  // The turn is undone and the actor is suspended at once.
  } directive = Directive::kRestart;

  // Failures that no caller is told of: of the activation, of timers and of reminders. More of them
  // within the window suspend the actor: its calls are refused with the last error. A method that
  // throws is not one of them: an error is an answer.
  size_t failures_max = 5;
  absl::Duration window = absl::Seconds(60);
  // Before such a turn is tried again: doubled with each failure in the window, half to one and a
  // half times that at random.
  absl::Duration pause_min = absl::Milliseconds(100);
  absl::Duration pause_max = absl::Seconds(5);
  // Then one more attempt is made. InfiniteDuration(): not before `troupe resume`.
  absl::Duration suspended_for = absl::Minutes(5);
};

// The longest deadline of a call: whoever was talking to this very object has had an answer by
// then.
inline constexpr absl::Duration kIdleTimeoutDefault = absl::Minutes(5);

// Longer than any call that a turn may wait for, twice over.
inline constexpr absl::Duration kTurnLimitDefault = absl::Minutes(10);

struct ActorTypeOptions {
  // Only nodes with this role (setting `roles`) host the type; its actors are in the role's own
  // shards. The same for as long as a cluster lives.
  std::string role = "default";
  // Without a call for so long, the object goes; its state stays on all copies, and the next call
  // makes it anew. Zero: never. Not given: what $Troupe.idleTimeout of its interface says, else
  // kIdleTimeoutDefault.
  std::optional<absl::Duration> idle_timeout = std::nullopt;
  Supervision supervision = {};
  // A turn that has not ended after so long, give or take a second, fails: it is undone, and its
  // actor goes on with what waits. InfiniteDuration(): never. Not of Resume().
  absl::Duration turn_limit = kTurnLimitDefault;
  // Of a pool of actors without state: how many of them run at a time on each loop of a node. More
  // calls wait.
  size_t pool_size = 64;
  // Of what Save() writes: one more with each change of the state struct of which a program that
  // does not know it must not lose anything. Kept with each snapshot; a node that hosts a lower
  // version loads none of a higher one, and refuses the calls: to load it and save it again would
  // drop the fields that it does not know.
  uint32_t state_version = 0;
};

}  // namespace troupe
