#include "troupe/actors/actor_timer.h"

#include <algorithm>

#include "kj/debug.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {

void ActorTimer::Cancel() {
  if (entry_.get() == nullptr) return;
  auto entry = kj::mv(entry_);
  if (entry->timers_ != nullptr) entry->timers_->Cancel(*entry);
}

bool ActorTimer::running() const { return entry_.get() != nullptr && entry_->timers_ != nullptr; }

ActorTimer ActorTimers::Start(TimerOptions options, ActorTimer::Entry::Work work) {
  KJ_REQUIRE(entries_.size() < kTimersMax, "an actor has at most so many timers", kTimersMax);
  const absl::Duration after = options.after.value_or(options.every);
  const bool possible = after >= absl::ZeroDuration() &&
                        (options.every == absl::ZeroDuration() || options.every >= kTimerPeriodMin);
  KJ_REQUIRE(possible, "a timer is not due in the past, nor more often than every millisecond");
  auto entry = kj::refcounted<ActorTimer::Entry>(*this, options, kj::mv(work));
  entry->due_ = timer_.now() + ToKj(after);
  Wait(*entry);
  entries_.push_back(kj::addRef(*entry));
  return ActorTimer(kj::mv(entry));
}

void ActorTimers::Wait(ActorTimer::Entry& entry) {
  entry.wait_ = timer_.atTime(entry.due_)
                    .then([this, &entry] {
                      owner_.Discard(kj::mv(entry.wait_));
                      entry.wait_ = nullptr;
                      owner_.OnTimer(kj::addRef(entry));
                    })
                    .eagerlyEvaluate(nullptr);
}

void ActorTimers::Ended(ActorTimer::Entry& entry) {
  if (entry.cancelled()) return;
  if (entry.options_.every == absl::ZeroDuration()) return Cancel(entry);
  entry.due_ = std::max(timer_.now(), entry.due_ + ToKj(entry.options_.every));
  Wait(entry);
}

void ActorTimers::Cancel(ActorTimer::Entry& entry) {
  entry.timers_ = nullptr;
  owner_.Discard(kj::mv(entry.wait_));
  entry.wait_ = nullptr;
  std::erase_if(entries_, [&](const auto& own) { return own.get() == &entry; });
}

void ActorTimers::CancelAll() {
  while (!entries_.empty()) Cancel(*entries_.back());
}

bool ActorTimers::KeepActive() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry->options_.keeps_active; });
}

}  // namespace troupe
