// ToldSeen: which told calls (docs/protocol.md P6.14) an observer has had, so that one that comes
// again, from the next primary of the actor that told it, is not run again.
//
// Pure; not thread-safe. Per actor the last turn is kept: what an actor tells one callee comes in
// the order in which it was told, and what comes again begins with the oldest that is unanswered.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "troupe/actors/call_record.h"

namespace troupe {

// Actors of one observer. Beyond it the one that has told nothing for longest is forgotten, and
// what it tells again is taken for new.
inline constexpr size_t kToldSeenMax = 4096;

class ToldSeen {
 public:
  // Whether the call, a told one, is new; from then on it is not.
  bool Take(const ActorCall& call);

  size_t size() const { return last_.size(); }

 private:
  struct TurnNumber {
    uint64_t lineage = 0;
    uint64_t turn = 0;
    auto operator<=>(const TurnNumber&) const = default;
  };
  struct Last {
    TurnNumber turn;
    std::set<Id128> ids;  // Of that turn.
    uint64_t taken = 0;   // Key in by_age_.
  };

  std::map<ActorId, Last> last_;
  std::map<uint64_t, ActorId> by_age_;
  uint64_t next_ = 1;
};

}  // namespace troupe
