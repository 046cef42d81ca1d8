#include "troupe/actors/reminder_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

// Whole periods between the due time and now: how many later due times have passed.
uint64_t PeriodsLate(const Reminder& reminder, absl::Time now) {
  if (reminder.every == absl::ZeroDuration() || now < reminder.due) return 0;
  absl::Duration rest;
  return static_cast<uint64_t>(absl::IDivDuration(now - reminder.due, reminder.every, &rest));
}

absl::Time After(const Reminder& reminder, uint64_t periods) {
  return reminder.due + reminder.every * static_cast<int64_t>(periods);
}

// Due times are sent and stored as nanoseconds since 1970.
bool CanBeSent(absl::Time due) {
  return due >= absl::UnixEpoch() && due < absl::FromUnixSeconds(int64_t{1} << 33);
}

template <typename List>
auto FindIn(List& list, std::string_view name) {
  return std::find_if(list.begin(), list.end(), [&](auto& r) { return r.name == name; });
}

}  // namespace

void ReminderTable::Take(List list) { list_ = std::make_shared<const List>(std::move(list)); }

absl::Status ReminderTable::Set(Reminder reminder) {
  if (reminder.name.empty() || reminder.name.size() > kReminderNameBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the name of a reminder has ",
                                                   reminder.name.size(), " bytes, expected 1 to ",
                                                   kReminderNameBytesMax));
  }
  if (reminder.every != absl::ZeroDuration() &&
      (reminder.every < kReminderPeriodMin || reminder.every > absl::Hours(24 * 36500))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reminder ", reminder.name, " cannot be due every ", absl::FormatDuration(reminder.every),
        "; the least is ", absl::FormatDuration(kReminderPeriodMin), ", timers are for less"));
  }
  if (!CanBeSent(reminder.due)) {
    return absl::InvalidArgumentError(absl::StrCat("reminder ", reminder.name, " cannot be due at ",
                                                   absl::FormatTime(reminder.due),
                                                   ": expected a time from 1970 to 2242"));
  }
  reminder.due = absl::FromUnixNanos(absl::ToUnixNanos(reminder.due));
  reminder.every = absl::Nanoseconds(absl::ToInt64Nanoseconds(reminder.every));
  List list = Copy();
  auto at = FindIn(list, reminder.name);
  if (at != list.end()) {
    *at = std::move(reminder);
  } else if (list.size() >= kRemindersMax) {
    return absl::ResourceExhaustedError(absl::StrCat("an actor has at most ", kRemindersMax,
                                                     " reminders: cancel one before ",
                                                     reminder.name, " is set"));
  } else {
    auto after = std::find_if(list.begin(), list.end(),
                              [&](const auto& other) { return other.name > reminder.name; });
    list.insert(after, std::move(reminder));
  }
  Take(std::move(list));
  return absl::OkStatus();
}

bool ReminderTable::Cancel(std::string_view name) {
  List list = Copy();
  auto at = FindIn(list, name);
  if (at == list.end()) return false;
  list.erase(at);
  Take(std::move(list));
  return true;
}

const Reminder* ReminderTable::Find(std::string_view name) const {
  if (list_ == nullptr) return nullptr;
  auto at = FindIn(*list_, name);
  return at == list_->end() ? nullptr : &*at;
}

absl::Time ReminderTable::NextDue() const {
  absl::Time next = absl::InfiniteFuture();
  if (list_ == nullptr) return next;
  for (const auto& reminder : *list_) next = std::min(next, reminder.due);
  return next;
}

std::optional<ReminderTable::Firing> ReminderTable::Due(absl::Time now) const {
  if (list_ == nullptr || list_->empty()) return std::nullopt;
  const Reminder& first = *std::min_element(list_->begin(), list_->end(),
                                            [](auto& a, auto& b) { return a.due < b.due; });
  if (first.due > now) return std::nullopt;
  const uint64_t late = PeriodsLate(first, now);
  uint64_t passed_over = 0;
  if (first.catch_up == CatchUp::kOnce) passed_over = late;
  if (first.catch_up == CatchUp::kAll && late >= kCatchUpMax) passed_over = late + 1 - kCatchUpMax;
  return Firing{{first.name, After(first, passed_over), first.skipped + passed_over},
                first.due,
                first.set_by};
}

bool ReminderTable::SkipMissed(absl::Time now) {
  if (list_ == nullptr) return false;
  auto missed = [now](const Reminder& reminder) {
    return reminder.catch_up == CatchUp::kSkip && PeriodsLate(reminder, now) > 0;
  };
  if (std::none_of(list_->begin(), list_->end(), missed)) return false;
  List list = Copy();
  for (auto& reminder : list) {
    if (!missed(reminder)) continue;
    const uint64_t gone = PeriodsLate(reminder, now) + 1;
    reminder.due = After(reminder, gone);
    reminder.skipped += gone;
  }
  Take(std::move(list));
  return true;
}

void ReminderTable::Advance(const Firing& served) {
  List list = Copy();
  auto at = FindIn(list, served.told.name);
  if (at == list.end() || at->due != served.since || at->set_by != served.set_by) return;
  if (at->every == absl::ZeroDuration()) {
    list.erase(at);
  } else {
    at->due = served.told.due + at->every;
    at->skipped = 0;
  }
  Take(std::move(list));
}

}  // namespace troupe
