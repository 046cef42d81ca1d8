// RefusedLanes: the lanes of which a call was sent back, so that none behind it runs before it.
//
// Pure; not thread-safe. What follows in the same attempt of the lane has to be sent back too,
// until the caller sends it all again under the next one (docs/protocol.md P6.9).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/call.h"

namespace troupe {

// Lanes remembered, at least. Beyond it the older half is forgotten: an attempt is over within
// milliseconds, when its caller has heard of the refusal.
inline constexpr size_t kRefusedLanesMax = 1 << 16;

class RefusedLanes {
 public:
  void Refuse(const CallLane& lane) {
    if (newer_.size() >= kRefusedLanesMax) older_ = std::exchange(newer_, {});
    // What is left of an earlier attempt, on an older link, is refused as well: it forgives
    // nothing.
    auto& attempt = newer_[{lane.origin, lane.number}];
    attempt = std::max(attempt, lane.attempt);
  }

  // Whether a call before this one was refused. Costs nothing while there is none.
  bool Refuses(const CallLane& lane) {
    if (newer_.empty() && older_.empty()) return false;
    return RefusesIn(newer_, lane) || RefusesIn(older_, lane);
  }

 private:
  using Lanes = absl::flat_hash_map<std::pair<uint64_t, uint64_t>, uint32_t>;

  static bool RefusesIn(Lanes& lanes, const CallLane& lane) {
    auto it = lanes.find({lane.origin, lane.number});
    if (it == lanes.end()) return false;
    if (lane.attempt <= it->second) return true;
    lanes.erase(it);
    return false;
  }

  Lanes newer_;  // By origin and number: the attempt that was refused.
  Lanes older_;
};

}  // namespace troupe
