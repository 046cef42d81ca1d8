#include "troupe/runtime/internal/sim_process.h"

#include <cmath>

#include "kj/debug.h"

namespace troupe::internal {
namespace {

__extension__ typedef __int128 Int128;  // Nanoseconds times a rate in billionths.

constexpr int64_t kNever = INT64_MAX / 4;
constexpr int64_t kBillion = 1'000'000'000;
constexpr int64_t kWallOrigin = 1'767'225'600;  // Seconds: virtual time begins with 2026.

}  // namespace

class SimTimerWait {
 public:
  SimTimerWait(kj::PromiseFulfiller<void>& fulfiller, SimProcess& process, int64_t due)
      : fulfiller_(fulfiller), process_(process), due_(due), number_(++process.last_timer_) {
    process_.timers_[number_] = this;
    Schedule();
  }
  ~SimTimerWait() {
    process_.schedule_.Cancel(event_);
    process_.timers_.erase(number_);
  }

  void Schedule() {
    process_.schedule_.Cancel(event_);
    event_ = 0;
    if (due_ >= kNever) return;
    event_ =
        process_.schedule_.At(process_.VirtualTimeOf(due_), SimEvent::kTimer, &process_, [this]() {
          event_ = 0;
          fulfiller_.fulfill();
        });
  }

 private:
  kj::PromiseFulfiller<void>& fulfiller_;
  SimProcess& process_;
  int64_t due_;
  uint64_t number_;
  SimSchedule::Id event_ = 0;
};

SimProcess::SimProcess(SimSchedule& schedule, SimComputer& computer, uint64_t id, Random random)
    : SimGate(id),
      schedule_(schedule),
      computer_(computer),
      random_(random),
      origin_virtual_(schedule.now()),
      // Clocks of two processes must not look comparable.
      origin_local_((1000 + static_cast<int64_t>(random_.Below(1'000'000))) * kBillion) {}

int64_t SimProcess::LocalNow() const {
  Int128 elapsed = schedule_.now() - origin_virtual_;
  return origin_local_ + static_cast<int64_t>(elapsed * rate_ppb_ / kBillion);
}

absl::Time SimProcess::WallNow() const {
  return absl::FromUnixSeconds(kWallOrigin) + absl::Nanoseconds(schedule_.now()) +
         computer_.wall_offset;
}

// The first instant at which LocalNow() >= local.
int64_t SimProcess::VirtualTimeOf(int64_t local) const {
  if (local <= origin_local_) return origin_virtual_;
  Int128 elapsed = local - origin_local_;
  return origin_virtual_ + static_cast<int64_t>((elapsed * kBillion + rate_ppb_ - 1) / rate_ppb_);
}

void SimProcess::SetClockRate(double rate) {
  KJ_REQUIRE(rate > 0.01 && rate < 100, "not a clock rate", rate);
  origin_local_ = LocalNow();
  origin_virtual_ = schedule_.now();
  rate_ppb_ = std::llround(rate * static_cast<double>(kBillion));
  for (auto& [number, timer] : timers_) timer->Schedule();
}

kj::TimePoint SimProcess::now() const {
  return kj::origin<kj::TimePoint>() + LocalNow() * kj::NANOSECONDS;
}

kj::Promise<void> SimProcess::atTime(kj::TimePoint time) {
  int64_t due = (time - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
  return kj::newAdaptedPromise<void, SimTimerWait>(*this, std::min(due, kNever));
}

kj::Promise<void> SimProcess::afterDelay(kj::Duration delay) {
  int64_t wait = std::min<int64_t>(delay / kj::NANOSECONDS, kNever - LocalNow());
  return kj::newAdaptedPromise<void, SimTimerWait>(*this, LocalNow() + wait);
}

}  // namespace troupe::internal
