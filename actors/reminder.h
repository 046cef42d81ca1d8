// Reminder: a turn that an actor has asked for at a time of the wall clock, and what it is told
// then.
//
// Values. What becomes of them is ReminderTable's; how they are asked for, ActorContext's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace troupe {

inline constexpr size_t kRemindersMax = 64;  // Of one actor; all of them travel with each change.
inline constexpr size_t kReminderNameBytesMax = 256;
inline constexpr absl::Duration kReminderPeriodMin = absl::Seconds(1);  // Each costs a batch.
inline constexpr uint64_t kCatchUpMax =
    1000;  // Due times made up for; earlier ones count as missed.

// What becomes of due times that passed while nobody could serve them. One that is late by less
// than its period is only late, and is served.
enum class CatchUp : uint8_t {
  kSkip,  // None of them is served: the next one in the rhythm is.
  kOnce,  // One turn stands for all of them.
  kAll,   // Each has its turn, in order, up to kCatchUpMax.
};

struct Reminder {
  std::string name;
  absl::Time due;                               // The next; or the only one.
  absl::Duration every = absl::ZeroDuration();  // Zero: once.
  CatchUp catch_up = CatchUp::kOnce;
  uint64_t skipped = 0;  // Due times before `due` that were not served.
  uint64_t set_by = 0;   // The number of the turn that set it: tells it from a later one.

  friend bool operator==(const Reminder&, const Reminder&) = default;
};

// What an actor is told when a reminder is due.
struct DueReminder {
  std::string name;
  absl::Time due;       // The due time that is served; the latest, when it stands for several.
  uint64_t missed = 0;  // Due times before it that have not been served and will not be.
};

}  // namespace troupe
