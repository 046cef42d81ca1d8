#include "troupe/membership/alarm.h"

#include <algorithm>

#include "troupe/rpc/status.h"

namespace troupe {

Alarm::Alarm(Host& host, kj::Function<void()> ring)
    : host_(host), ring_(kj::mv(ring)), timers_(*this) {}

void Alarm::taskFailed(kj::Exception&& exception) {
  host_.log().Error("alarm failed", {{"error", Words(exception)}});
}

void Alarm::Set(absl::Time at) {
  at_ = at;
  Wait();
}

void Alarm::SetNoLaterThan(absl::Time at) {
  if (at < at_) Set(at);
}

// Timers are not taken back: one that comes before its time sets the next.
void Alarm::Wait() {
  if (at_ == absl::InfiniteFuture() || timer_ <= at_) return;
  timer_ = at_;
  const absl::Time mine = at_;
  const absl::Duration wait =
      std::clamp(at_ - host_.clock().Now(), absl::ZeroDuration(), absl::Hours(1));
  timers_.add(host_.timer().afterDelay(KjWait(wait)).then([this, mine] {
    if (timer_ == mine) timer_ = absl::InfiniteFuture();
    Wake();
  }));
}

void Alarm::Wake() {
  if (host_.clock().Now() < at_) return Wait();
  at_ = absl::InfiniteFuture();
  ring_();
}

}  // namespace troupe
