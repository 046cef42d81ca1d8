#include <sys/random.h>
#include <time.h>

#include <utility>

#include "kj/debug.h"
#include "troupe/runtime/internal/posix.h"
#include "troupe/runtime/internal/uv_host.h"

namespace troupe {

namespace {

Id128 SystemRandomId() {
  Id128 id;
  ssize_t n = Retrying([&] { return ::getrandom(&id, sizeof id, 0); });
  KJ_REQUIRE(n == static_cast<ssize_t>(sizeof id), "getrandom gave too little", n);
  return id;
}

}  // namespace

absl::Time BootClock::Now() const {
  timespec now;
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::TimeFromTimespec(now);
}

absl::Time BootClock::WallNow() const {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return absl::TimeFromTimespec(now);
}

UvHost::UvHost(LogSink& sink, std::string node, WorkPool& pool)
    : log_(sink, std::move(node)), pool_(pool), random_(SystemRandomId().lo), inbox_(kInboxBound) {}

void UvHost::Enter() { loop_ = std::make_unique<Loop>(inbox_); }

void UvHost::Leave() {
  inbox_.Close();
  loop_ = nullptr;
}

// The loop's timer goes by the same clock.
absl::Duration UvHost::SinceLook() const {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const auto look = loop_->port.timer().now() - kj::origin<kj::TimePoint>();
  return absl::DurationFromTimespec(now) - absl::Nanoseconds(look / kj::NANOSECONDS);
}

Id128 UvHost::RandomId() { return SystemRandomId(); }

}  // namespace troupe
