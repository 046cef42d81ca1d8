// Activation, part seven: turns that time brings: timers and reminders.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/activation_turn.h"
#include "troupe/rpc/status.h"

namespace troupe {

// ---- Timers

ActorTimer Activation::AddTimer(TimerOptions options, ActorTimer::Entry::Work work) {
  return timers_.Start(options, kj::mv(work));
}

void Activation::OnTimer(kj::Own<ActorTimer::Entry> entry) {
  mailbox_.push_back({{}, kj::mv(entry)});  // At most kTimersMax of them.
  if (!watched) shard_.Watch(*this);
  RunReady();
}

void Activation::StartTimerTurn(kj::Own<ActorTimer::Entry> entry) {
  if (entry->cancelled()) return;
  StartOwn(TurnKind::kTimer, OwnTurnId(), [this, entry = kj::mv(entry)]() mutable {
    auto& work = *entry;
    turn_->timer = kj::mv(entry);
    return work.Run();
  });
}

// ---- Reminders (P6.13)

void Activation::SetReminder(std::string_view name, const ReminderOptions& options) {
  RequireTurn("SetReminder()");
  if (options.at && options.after) {
    kj::throwFatalException(Failed(absl::StrCat("reminder ", std::string(name), " of actor ",
                                                Name(), " has both `at` and `after`: give one")));
  }
  const auto* present = reminders_.Find(name);
  const bool serving = turn_->reminder && turn_->reminder->told.name == name;
  if (present != nullptr && present->every == options.every &&
      present->catch_up == options.catch_up) {
    // One and the same; also to a turn of it that runs again, and then makes the same calls.
    if (!options.at && !options.after) return;
    if (options.at == present->due && !serving) return;
  }
  const auto due = options.at ? *options.at : WallNow() + options.after.value_or(options.every);
  auto set =
      reminders_.Set({std::string(name), due, options.every, options.catch_up, 0, turn_->number});
  if (!set.ok()) {
    kj::throwFatalException(Failed(absl::StrCat("actor ", Name(), ": ", set.message())));
  }
}

bool Activation::CancelReminder(std::string_view name) {
  RequireTurn("CancelReminder()");
  return reminders_.Cancel(name);
}

void Activation::Remind() {
  if (stopped_ || reminder_waits_) return;
  reminder_waits_ = true;
  mailbox_.push_back({});
  used_ = true;
  if (!watched) shard_.Watch(*this);
  RunReady();
}

// One at a time: if more are due, the heap says so at once.
void Activation::StartReminderTurn() {
  reminder_waits_ = false;
  const absl::Time now = WallNow();
  if (reminders_.SkipMissed(now)) {
    reminders_moved_ = true;
    MarkDirty();
  }
  auto firing = reminders_.Due(now);
  if (!firing) return AnnounceReminders();
  if (shard_.mutations().reminder_outside_batch) {
    reminders_.Advance(*firing);
    reminders_moved_ = true;
    MarkDirty();
  }
  // The same on whichever node it is served, so that the calls that it makes have the same ids.
  const std::string& name = firing->told.name;
  const Id128 since{SipHash24(firing->set_by, 0,
                              {reinterpret_cast<const unsigned char*>(name.data()), name.size()}),
                    static_cast<uint64_t>(absl::ToUnixNanos(firing->since))};
  StartOwn(TurnKind::kReminder, DerivedId(since, id_, 0, 1, 0),
           [this, firing = std::move(*firing)]() mutable -> kj::Promise<void> {
             turn_->reminder = std::move(firing);
             return actor_->OnReminder(turn_->reminder->told);
           });
}

// When the next is to be served; not before failures allow it.
void Activation::AnnounceReminders() {
  absl::Time due = reminders_.NextDue();
  if (supervisor_ && due != absl::InfiniteFuture()) {
    const absl::Time now = host_.clock().Now();
    if (supervisor_->not_before() > now) {
      due = std::max(due, WallNow() + (supervisor_->not_before() - now));
    }
  }
  shard_.RemindAt(id_, due);
}

}  // namespace troupe
