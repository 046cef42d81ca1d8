// ReplicaMessage: what the copies of a shard say to each other, as values.
//
// The wire form and the specification of each message are in replication.capnp; replica_codec.h
// converts. Updates are shared, immutable and encoded once, however many copies they go to.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call_record.h"
#include "troupe/actors/hold.h"
#include "troupe/actors/outbox.h"
#include "troupe/actors/reminder_table.h"
#include "troupe/actors/watch_table.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr size_t kChunkBytes = 256 << 10;   // Of one message; a larger actor goes alone.
inline constexpr size_t kStateBytesMax = 8 << 20;  // Of one actor's state; a frame holds it.
inline constexpr size_t kBatchBytesMax = 1 << 20;  // Cut here; the rest is the next batch.

// The batch that last changed an actor, or the position of a copy. Ordered. (0, 0): none.
struct Version {
  Epoch epoch = 0;
  uint64_t seq = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};

// What one batch changes of one actor.
struct ActorUpdate {
  enum class Kind : uint8_t {
    kImage,      // All of it: state and records replace what was there.
    kDelta,      // On `base`: a state if set, and the changes of the records.
    kTombstone,  // The actor is gone.
  };
  ActorId actor;
  Kind kind = Kind::kImage;
  Version version;                           // After the update.
  Version base;                              // kDelta: what the receiver must hold.
  std::shared_ptr<const std::string> state;  // kDelta: null when unchanged.
  RecordChanges records;
  uint64_t turn = 0;  // The actor's turn counter and oldest unsettled turn (P6.5).
  uint64_t oldest_unsettled = 0;
  bool resume = false;  // To be activated by a new primary without being called.
  bool called = false;  // It has called other actors, which may remember its turns (P6.5).
  ReminderTable::Snapshot reminders = nullptr;  // kDelta: null when unchanged.
  // kImage: all as added, null when there is none; kDelta: null when unchanged.
  std::shared_ptr<const OutboxChanges> outbox = nullptr;
  WatchSnapshot watches = nullptr;  // kDelta: null when unchanged.
  SharedHold hold = nullptr;        // Null: kImage: none; kDelta: unchanged.

  size_t bytes() const;  // About; for chunking.
};
using SharedUpdate = std::shared_ptr<const ActorUpdate>;

// ---- From the primary.

struct Heartbeat {};  // Asks for a grant; carries the mark.

struct Batch {
  uint64_t seq = 0;  // 1: the reconciliation (P3.9); from 2 on: the stream.
  uint32_t chunk = 0;
  uint32_t chunks = 1;
  std::vector<SharedUpdate> updates;
};

struct ReportRequest {
  enum class Scope : uint8_t { kAboveMark, kAll } scope = Scope::kAboveMark;
  uint64_t request = 0;  // Rising within the epoch; older ones are void.
};

struct Snapshot {        // For a learner, what differed from its report (P3.8).
  uint64_t request = 0;  // The ReportRequest this answers.
  uint64_t seq = 0;      // The position it shows, in the message's epoch.
  uint32_t chunk = 0;
  bool last = false;
  std::vector<SharedUpdate> updates;
};

// ---- To the primary.

enum class SyncState : uint8_t { kNone, kSynced, kLost };

struct Ack {
  SyncState sync = SyncState::kNone;  // Whether this copy holds the epoch up to `seq`.
  uint64_t seq = 0;
  uint64_t taken = 0;    // Held, if not yet on its disk: not to be sent again.
  uint64_t request = 0;  // Of the snapshot being received, and its next chunk.
  uint32_t next_chunk = 0;
  int64_t echo = 0;          // The stamp of the message that this answers.
  uint64_t map_version = 0;  // The granter's.
};

struct Reject {
  Epoch promised = 0;
};

struct Report {
  uint64_t request = 0;
  uint32_t chunk = 0;
  bool last = false;
  Version mark;  // kAboveMark: only actors above it are listed.
  struct Entry {
    ActorId actor;
    Version version;
  };
  std::vector<Entry> entries;  // Tombstones included.
};

using ReplicaBody = std::variant<Heartbeat, Batch, ReportRequest, Snapshot, Ack, Reject, Report>;

struct ReplicaMessage {
  ShardId shard = 0;
  uint64_t lineage = 0;
  Epoch epoch = 0;     // The primary's.
  CopyId primary = 0;  // The primary's boot, also in what is sent to it.
  CopyId target = 0;   // Whoever is not this copy drops the message.
  int64_t stamp = 0;   // Nanoseconds of the primary's clock; opaque to others.
  uint64_t mark = 0;   // From the primary: every ISR member has the epoch up to this seq.
  ReplicaBody body;
};

std::string Describe(const ReplicaMessage& message);

}  // namespace troupe
