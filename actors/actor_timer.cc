#include "troupe/actors/actor_timer.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

std::string Complaint(size_t present, absl::Duration after, absl::Duration every) {
  if (present >= kTimersMax) {
    return absl::StrCat("an actor's object has at most ", kTimersMax,
                        " timers: cancel one, or have one serve several ends");
  }
  if (after < absl::ZeroDuration()) {
    return absl::StrCat("a timer cannot be due after ", absl::FormatDuration(after),
                        ": expected zero or more");
  }
  if (every != absl::ZeroDuration() && every < kTimerPeriodMin) {
    return absl::StrCat("a timer cannot be due every ", absl::FormatDuration(every),
                        ": expected zero, for once, or at least ",
                        absl::FormatDuration(kTimerPeriodMin));
  }
  return "";
}

}  // namespace

void ActorTimer::Cancel() {
  if (entry_.get() == nullptr) return;
  auto entry = kj::mv(entry_);
  if (entry->timers_ != nullptr) entry->timers_->Cancel(*entry);
}

bool ActorTimer::running() const { return entry_.get() != nullptr && entry_->timers_ != nullptr; }

ActorTimer ActorTimers::Start(TimerOptions options, ActorTimer::Entry::Work work) {
  const absl::Duration after = options.after.value_or(options.every);
  if (auto complaint = Complaint(entries_.size(), after, options.every); !complaint.empty()) {
    kj::throwFatalException(Failed(complaint));
  }
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
