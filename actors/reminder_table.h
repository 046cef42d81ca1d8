// ReminderTable: the reminders of one actor, which outlive its activations.
//
// Pure; not thread-safe. Part of the actor's replicated state: a turn's changes of the table are in
// the batch of the turn, and a reminder goes on to its next due time in the batch of the turn that
// it woke (docs/protocol.md P6.13). Times are wall-clock times, to the nanosecond, so that they
// mean the same on all copies as far as the clocks of the nodes do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "troupe/actors/reminder.h"

namespace troupe {

class ReminderTable {
 public:
  using List = std::vector<Reminder>;            // By name.
  using Snapshot = std::shared_ptr<const List>;  // Null, or empty: none.

  ReminderTable() = default;
  explicit ReminderTable(Snapshot list) : list_(std::move(list)) {}

  // Replaces the one of that name. Errors: InvalidArgument, ResourceExhausted; each names the
  // bound.
  absl::Status Set(Reminder reminder);
  bool Cancel(std::string_view name);  // False: there was none.
  void Clear() { list_ = nullptr; }

  const Reminder* Find(std::string_view name) const;  // Null: none; valid until the table changes.
  absl::Time NextDue() const;                         // InfiniteFuture: never.

  // What is to be served at `now`; nothing when nothing is due.
  struct Firing {
    DueReminder told;
    absl::Time since;  // As stored: names the firing, on whichever node it is served.
    uint64_t set_by = 0;
  };
  std::optional<Firing> Due(absl::Time now) const;
  // Passes over what CatchUp::kSkip does not serve. True: something changed.
  bool SkipMissed(absl::Time now);
  // It has been served. Nothing happens when that reminder was set anew or cancelled meanwhile.
  void Advance(const Firing& served);

  // Shared, never changed: the table goes on with a copy.
  const Snapshot& snapshot() const { return list_; }

 private:
  List Copy() const { return list_ == nullptr ? List() : *list_; }
  void Take(List list);

  Snapshot list_;
};

}  // namespace troupe
