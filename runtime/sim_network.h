// SimLink: how messages fare between two simulated machines.
//
// Streams lose nothing: a loss delays them by a retransmission. Shares are in [0, 1].
#pragma once

#include "absl/time/time.h"

namespace troupe {

struct SimLink {
  absl::Duration latency_min = absl::Microseconds(200);
  absl::Duration latency_max = absl::Milliseconds(1);
  double loss = 0;
  double duplicate = 0;  // Datagrams only, as is the next one.
  double reorder = 0;    // Share that is held back so that later ones overtake it.
};

}  // namespace troupe
