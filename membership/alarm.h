// Alarm: calls a function once the time it was set to has come.
//
// Setting it again replaces the time. Single loop; the function may set the alarm but not destroy
// it. Times are those of the host's clock.
#pragma once

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline kj::Duration KjWait(absl::Duration duration) {
  // Rounded up: a timer that rings early would ring for nothing.
  return (absl::ToInt64Microseconds(duration) + 1) * kj::MICROSECONDS;
}

class Alarm final : private kj::TaskSet::ErrorHandler {
 public:
  Alarm(Host& host, kj::Function<void()> ring);
  KJ_DISALLOW_COPY(Alarm);

  void Set(absl::Time at);
  void SetNoLaterThan(absl::Time at);  // Keeps an earlier time.
  void Clear() { at_ = absl::InfiniteFuture(); }
  bool is_set() const { return at_ != absl::InfiniteFuture(); }

 private:
  void taskFailed(kj::Exception&& exception) override;
  void Wait();
  void Wake();

  Host& host_;
  kj::Function<void()> ring_;
  absl::Time at_ = absl::InfiniteFuture();
  absl::Time timer_ = absl::InfiniteFuture();  // When the earliest timer under way comes.
  kj::TaskSet timers_;
};

}  // namespace troupe
