// ActorTimer: a timer of an activation. ActorTimers: all of one activation.
//
// Single loop. A timer is gone with its handle, with the object that started it, and with the node:
// what must not be forgotten is a reminder (reminder_table.h). Loop time, not wall-clock time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "kj/refcount.h"
#include "kj/timer.h"

namespace troupe {

inline constexpr size_t kTimersMax = 64;  // Of one activation.
inline constexpr absl::Duration kTimerPeriodMin = absl::Milliseconds(1);

struct TimerOptions {
  std::optional<absl::Duration> after = std::nullopt;  // The first; as `every` unless given.
  absl::Duration every = absl::ZeroDuration();         // Zero: once.
  bool keeps_active = false;  // The activation is not idle while the timer runs.
};

class ActorTimers;

// Dropping it cancels the timer, also within the timer's own turn, which goes on.
class ActorTimer {
 public:
  class Entry;

  ActorTimer() = default;  // No timer.
  explicit ActorTimer(kj::Own<Entry> entry) : entry_(kj::mv(entry)) {}
  ActorTimer(ActorTimer&&) = default;
  ActorTimer& operator=(ActorTimer&& other) {
    Cancel();
    entry_ = kj::mv(other.entry_);
    return *this;
  }
  ~ActorTimer() noexcept(false) { Cancel(); }

  void Cancel();
  bool running() const;  // It will fire, or its turn is running and it will fire again.

 private:
  kj::Own<Entry> entry_;
};

class ActorTimer::Entry final : public kj::Refcounted {
 public:
  using Work = kj::Function<kj::Promise<void>()>;
  kj::Promise<void> Run() { return work_(); }
  bool cancelled() const { return timers_ == nullptr; }

 private:
  friend class ActorTimer;
  friend class ActorTimers;
  Entry(ActorTimers& timers, TimerOptions options, Work work)
      : timers_(&timers), options_(options), work_(kj::mv(work)) {}
  template <typename T, typename... Params>
  friend kj::Own<T> kj::refcounted(Params&&... params);

  ActorTimers* timers_;  // Null: cancelled.
  TimerOptions options_;
  Work work_;
  kj::TimePoint due_ = kj::origin<kj::TimePoint>();
  kj::Promise<void> wait_ = nullptr;
};

class ActorTimers {
 public:
  class Owner {
   public:
    // To be run as a turn, then Ended(). One that was cancelled meanwhile is not run.
    virtual void OnTimer(kj::Own<ActorTimer::Entry> entry) = 0;
    // What may be what runs now, to be destroyed later.
    virtual void Discard(kj::Promise<void> wait) = 0;

   protected:
    ~Owner() = default;
  };

  ActorTimers(kj::Timer& timer, Owner& owner) : timer_(timer), owner_(owner) {}
  ~ActorTimers() noexcept(false) { CancelAll(); }
  KJ_DISALLOW_COPY(ActorTimers);

  // Throws FAILED beyond kTimersMax, or for times that cannot be.
  ActorTimer Start(TimerOptions options, ActorTimer::Entry::Work work);
  // Its turn is over: the next is `every` after the last was due, but not in the past.
  void Ended(ActorTimer::Entry& entry);
  void CancelAll();
  bool KeepActive() const;
  bool empty() const { return entries_.empty(); }

 private:
  friend class ActorTimer;
  void Wait(ActorTimer::Entry& entry);
  void Cancel(ActorTimer::Entry& entry);

  kj::Timer& timer_;
  Owner& owner_;
  std::vector<kj::Own<ActorTimer::Entry>> entries_;
};

}  // namespace troupe
