// LoopWatch: notices that a worker's loop is held up, and by whom: while it lasts, and afterwards.
//
// A method that blocks, or computes for long, holds up all actors of its loop and the leases of its
// shards. Its first part, until it waits, is timed, and its end is looked at. Of what goes on and
// waits again only the loop's delay is seen; then those are named who may have been it.
//
// Of the worker's loop, but for Holding(), which is thread-safe. Where no time passes while code
// runs, as in simulation, it sees nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr absl::Duration kHeldLong = absl::Milliseconds(100);

class LoopWatch {
 public:
  explicit LoopWatch(Host& host) : host_(host) { Beat(host.clock().Now()); }

  // Runs `work`, which is of `method`; null: of the actor's own. `name` tells it in full.
  template <typename Work, typename Name>
  kj::Promise<void> Run(const MethodInfo* method, Work&& work, Name&& name) {
    method_.store(method, std::memory_order_relaxed);
    const absl::Duration start = host_.SinceLook();
    auto running = kj::evalNow(work);
    const absl::Duration held = host_.SinceLook() - start;
    method_.store(nullptr, std::memory_order_relaxed);
    if (held >= kHeldLong) Tell(held, name());
    return running;
  }

  // A turn that has waited is over.
  template <typename Name>
  void Ended(Name&& name) {
    const absl::Duration held = host_.SinceLook();
    if (held >= kHeldLong && !told_) Tell(held, name());
  }

  // The loop has come round, so much later than it should have. `open` names the turns that wait.
  template <typename Open>
  void Beat(absl::Time now, absl::Duration late, Open&& open) {
    Beat(now);
    if (late >= kHeldLong && !std::exchange(told_, false)) TellLate(late, open());
    told_ = false;
  }

  // For how long the loop has not come round, and in which method it is: "" when that is not known.
  struct Hold {
    absl::Duration held;
    std::string method;
  };
  Hold Holding(absl::Time now) const;

 private:
  void Beat(absl::Time now) { beat_.store(absl::ToUnixNanos(now), std::memory_order_relaxed); }
  void Tell(absl::Duration held, const std::string& by);
  void TellLate(absl::Duration late, const std::vector<std::string>& open);

  Host& host_;
  std::atomic<int64_t> beat_;
  std::atomic<const MethodInfo*> method_ = nullptr;  // Of the registry, which outlives all loops.
  bool told_ = false;                                // Since the last beat.
};

}  // namespace troupe
