// Hold: that a transaction has an actor, and what the actor goes back to if it does not commit.
//
// Pure values. Part of the actor's replicated state: taken in the batch of the turn that takes it,
// let go in the batch of the outcome (docs/protocol.md P6.15).
// Source of who waits: Rosenkrantz, Stearns, Lewis, "System Level Concurrency Control for
// Distributed Database Systems" (wait-die), 1978.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/reminder_table.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr absl::Duration kHoldLimitMax = absl::Seconds(60);

// One hold of an actor, in its whole life: turn numbers rise within a lineage.
struct Grant {
  uint64_t lineage = 0;
  uint64_t turn = 0;  // That took it. 0: none.

  explicit operator bool() const { return turn != 0; }
  friend bool operator==(const Grant&, const Grant&) = default;
};

// What a call of a transaction says of it.
struct TransactionStamp {
  Id128 id;         // Of this attempt.
  int64_t age = 0;  // When the first attempt began: nanoseconds since 1970.
  absl::Duration limit;
  ActorId first;  // The participant that decides.
  Grant grant;    // That the caller knows of; or none.
};

struct Hold {
  Id128 id;  // Zero: no hold (in a change: it has ended).
  int64_t age = 0;
  absl::Duration limit;
  ActorId first;
  Grant grant;
  // As it was before.
  std::shared_ptr<const std::string> state;  // Never null in one that holds.
  ReminderTable::Snapshot reminders;         // Null: none.
  bool resume = false;
  uint64_t resume_since = 0;

  bool holds() const { return id != Id128{}; }
  size_t bytes() const;  // About; for chunking.
  friend bool operator==(const Hold& a, const Hold& b);
};
using SharedHold = std::shared_ptr<const Hold>;

// That nothing is held, as a change.
const SharedHold& NoHold();

// What becomes of a call of a transaction at an actor.
enum class HoldVerdict : uint8_t {
  kTakes,     // It runs, and takes the hold.
  kRuns,      // It runs: its transaction has the hold.
  kWaits,     // It is older than the transaction that has the hold.
  kConflict,  // It is younger: waiting might close a circle.
  kGone,      // The hold that it goes by has ended.
};
HoldVerdict Judge(const Hold* hold, const TransactionStamp& call);  // Null: nothing is held.

}  // namespace troupe
