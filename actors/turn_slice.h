// TurnSlice: how long the turns of a worker may go on before its loop looks at its sockets again.
//
// Without it a full mailbox runs to its end first: nothing that was done leaves, no copy is heard
// acknowledging it, and the deadlines of all pass, though much had been done.
// Single loop, shared by all activations of the worker. No time passes within a turn of the loop in
// simulation, so there a slice has no end.
#pragma once

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/timer.h"
#include "troupe/runtime/host.h"

namespace troupe {

// Beside it a look at the sockets costs nothing, and leases are renewed in good time.
inline constexpr absl::Duration kTurnSlice = absl::Milliseconds(2);

class TurnSlice {
 public:
  explicit TurnSlice(Host& host) : host_(host), look_(host.timer().now()) {}

  // The next turn is to wait for NextLook().
  bool over() {
    const absl::Time now = host_.clock().Now();
    if (const auto look = host_.timer().now(); look != look_) {
      look_ = look;
      began_ = now;
    }
    return now - began_ > kTurnSlice;
  }
  // Resolves after the loop has looked at its sockets.
  kj::Promise<void> NextLook() { return host_.timer().afterDelay(0 * kj::SECONDS); }

 private:
  Host& host_;
  kj::TimePoint look_;  // A loop's timer stands still between two looks.
  absl::Time began_ = absl::InfiniteFuture();
};

}  // namespace troupe
