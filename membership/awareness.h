// Awareness: how healthy this node thinks it is itself, by how well its own probes go.
//
// 0 is healthy; the higher, the more its failure to hear others is its own fault. The score
// stretches the probe interval, never the timeout of a ping: waiting longer brings no lost datagram
// back, but gives helpers' nacks and the fallback time. Not thread-safe.
// Source: "Lifeguard", local health aware probe.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace troupe {

class Awareness {
 public:
  explicit Awareness(int max) : max_(max) {}

  void Apply(int delta) { score_ = std::clamp(score_ + delta, 0, max_); }
  int score() const { return score_; }
  absl::Duration Stretch(absl::Duration interval) const { return interval * (score_ + 1); }

 private:
  int max_;
  int score_ = 0;
};

}  // namespace troupe
