// ShardReplica: one copy of one shard, in whichever role the map gives it.
//
// Pure: no I/O, no clock, no randomness. Single-threaded: belongs to the worker that owns the
// shard. Inputs are the map, messages of other copies, time, and what the actors of the shard did;
// outputs are appended to a ReplicaEffects. The rules are docs/protocol.md P3, P4 and P6.2 to P6.8;
// the words are explained in docs/architecture.md.
//
// How the worker uses it:
//   - every map, message and timer goes in; after each, it performs the effects, in their order;
//   - at the end of each loop turn it calls Settle(), and for each peer that has no frame of ours
//     unacknowledged, CollectFor() of all its shards with HasUnsent(), sent as one frame;
//   - the actor layer asks Admit() before it runs a call, says MarkDirty() when a turn changed an
//     actor or its records, and gives each answer to Hold(), to be sent when its token comes back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call_record.h"
#include "troupe/actors/disk_write.h"
#include "troupe/actors/replica_message.h"
#include "troupe/actors/shard_view.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

class ActorStore;
struct RestoredCopy;      // restored_copy.h
struct ReplicaMutations;  // replica_mutations.h: rules switched off, for tests of the tests.

// What changed of an actor since its last ActorChange.
struct ActorChange {
  bool removed = false;                      // Nothing is left of it: no state, no records.
  std::shared_ptr<const std::string> state;  // Null: as before.
  RecordChanges records;                     // RecordTable::TakeChanges, or TakeWhole at first.
  uint64_t turn = 0;
  uint64_t oldest_unsettled = 0;
  bool resume = false;
  bool called = false;
  ReminderTable::Snapshot reminders = nullptr;  // Null: as before.
  OutboxSnapshot outbox = nullptr;              // All of it. Null: as before.
  WatchSnapshot watches = nullptr;              // Null: as before.
  SharedHold hold = nullptr;                    // Null: as before; NoHold(): none any more.
};

// The actor layer, as the replica asks it.
class ActorSource {
 public:
  virtual ~ActorSource() = default;
  // The change of a dirty actor, encoded between turns; nothing while a mutating turn is open (the
  // actor then stays dirty, and is asked again at the next cut).
  virtual std::optional<ActorChange> Encode(const ActorId& actor) = 0;
  // Whether any turn of the shard is open or any call is queued: a move waits for none.
  virtual bool Busy() const = 0;
};

using HoldToken = uint64_t;  // Names a held answer; chosen by the actor layer.

enum class HoldKind : uint8_t {
  kAnswer,    // Of a call that ran or was found recorded: waits for all that the actor changed.
  kRead,      // Of a $readOnly call: the same, and the right to read (P4.2).
  kOutgoing,  // Something an open turn sends: waits for what earlier turns changed (P6.6).
};

// kAwaited: one that an open turn of the shard waits for; so also while a move drains.
enum class CallKind : uint8_t { kMutating, kReadOnly, kAwaited };

// The right to one read, decided when it starts.
struct ReadTicket {
  uint64_t confirmation = 0;  // 0: leased. Else the read waits for this ConfirmRead.
};

enum class HoldFailure : uint8_t {
  kNotPrimary,  // The shard has another primary now; retry there under the same call id.
  kMoved,       // The same, after a planned handoff: forward.
};

struct ServingChange {
  enum class Kind : uint8_t {
    kStart,      // Serve `epoch`: activate actors from store() on demand.
    kStop,       // Drop all activations and what they did since; queued calls go elsewhere.
    kStopAdmit,  // A move begins: finish open turns, queue what comes.
    kAdmit,      // The move was given up: go on.
  };
  Kind kind;
  Epoch epoch = 0;
  CopyId next_primary = 0;  // kStop: who serves now, 0 if not known.
};

// To be performed in the order of the members.
struct ReplicaEffects {
  struct Outgoing {
    CopyId to;
    ReplicaMessage message;
  };
  std::vector<Outgoing> send;
  std::vector<DiskWrite> write;     // In order; OnWritten() once each would survive.
  std::vector<HoldToken> released;  // These answers may leave, at once.
  std::vector<std::pair<HoldToken, HoldFailure>> failed;
  std::vector<ServingChange> serving;
  std::vector<Command> propose;  // To the coordinator; repeated by the replica until settled.
  // Run a register write-back begun after now, then OnReadConfirmed(id). Rising; confirming one
  // confirms all before it. The owner joins those of many shards into one.
  std::optional<uint64_t> confirm_read;

  void Clear() { *this = ReplicaEffects(); }
};

struct ReplicaOptions {
  absl::Duration lease = absl::Milliseconds(250);  // L of P4.
  absl::Duration silence_min = absl::Milliseconds(300);
  absl::Duration resend_after = absl::Milliseconds(500);  // What a peer has not acknowledged.
  absl::Duration repeat_after = absl::Milliseconds(150);  // Commands whose outcome is not known.
  absl::Duration confirm_limit = absl::Seconds(1);        // For a ConfirmRead, then a new one.
  absl::Duration sole_copy_limit = absl::Seconds(2);      // P3.13.
  absl::Duration resign_after = absl::Seconds(1);         // P3.10.
  absl::Duration move_limit = absl::Seconds(5);           // To drain before a move is given up.
  bool durable = false;  // Copies keep what they hold on their disks (P3.19).
  absl::Duration disk_limit = absl::Seconds(2);  // For one write, then others go on without it.
  size_t unacknowledged_batches_max = 256;       // Beyond: mutating calls are OVERLOADED.
  size_t unacknowledged_bytes_max = 64 << 20;
  size_t learner_lag_batches_max = 16384;       // Beyond: the learner starts anew.
  const ReplicaMutations* mutations = nullptr;  // Null in production.
};

class ShardReplica {
 public:
  // `self`: this process's boot. `source` outlives the replica.
  ShardReplica(ShardId shard, CopyId self, ReplicaOptions options, ActorSource& source);
  ~ShardReplica();
  ShardReplica(const ShardReplica&) = delete;
  ShardReplica& operator=(const ShardReplica&) = delete;

  // ---- The disk, of a durable shard.
  // What an earlier run of this copy left, before anything else is told.
  void Restore(absl::Time now, RestoredCopy restored);
  // All writes up to `number` would survive now.
  void OnWritten(absl::Time now, uint64_t number, ReplicaEffects& out);

  // ---- The world. Older maps than the newest seen are ignored.
  void OnMap(absl::Time now, const ShardView& view, ReplicaEffects& out);
  void OnMessage(absl::Time now, CopyId from, const ReplicaMessage& message, ReplicaEffects& out);
  // `stalled`: in all since the start, for how long the loop did not run (gaps over 50 ms); that
  // time is nobody's silence (P3.10). `round_trip_timeout`: of the slowest peer, as measured.
  void Tick(absl::Time now, absl::Duration stalled, ReplicaEffects& out);
  void SetRoundTripTimeout(absl::Duration timeout);
  absl::Time NextDeadline() const;
  // A new link to this copy: what was sent on the old one and not acknowledged is sent again.
  void OnPeerConnected(CopyId peer);
  // `view` is of the value that the write-back chose.
  void OnReadConfirmed(absl::Time now, uint64_t id, const ShardView& view, ReplicaEffects& out);

  // ---- The actors. Only while serving.
  // OK, or why the call may not run now: Unavailable (not the primary, not serving yet, moving),
  // FailedPrecondition (NotEnoughCopies), ResourceExhausted (too much unacknowledged). All can be
  // retried; none leaves a record.
  absl::Status Admit(CallKind kind) const;
  ReadTicket StartRead(absl::Time now, ReplicaEffects& out);
  void MarkDirty(const ActorId& actor);
  // The image as of now, for the next cut: before a turn that may wait begins (P6.8). Answers held
  // so far wait for it, later ones for the one after.
  void Stage(const ActorId& actor, ActorChange change);
  // The answer named by `token` comes back as released or failed, at once or later.
  void Hold(absl::Time now, HoldToken token, const ActorId& actor, HoldKind kind, ReadTicket ticket,
            ReplicaEffects& out);
  // Hands the shard to `to`, an ISR copy: kStopAdmit, flush, MovePrimary, kStop. Errors:
  // FailedPrecondition when not serving, moving already or `to` is not in the ISR.
  absl::Status BeginMove(absl::Time now, CopyId to, ReplicaEffects& out);

  // ---- The worker.
  // Ends a loop turn: cuts a batch when no peer has to be waited for.
  void Settle(absl::Time now, ReplicaEffects& out);
  bool HasUnsent(CopyId peer) const;
  // Cuts a batch if anything is dirty, and appends what `peer` has not been sent.
  void CollectFor(absl::Time now, CopyId peer, ReplicaEffects& out);
  std::vector<CopyId> Peers() const;  // Whom this copy, as primary, sends to.

  // ---- To be read.
  bool serving() const;
  ShardId shard() const;
  CopyId self() const;
  Epoch promised() const;
  Epoch epoch() const;  // Led now; 0 when not the primary.
  const ShardView& view() const;
  const ActorStore& store() const;  // As of the last batch.
  Version position() const;
  // As primary: what answers may show, and whether a read that starts now needs no confirmation.
  Version complete() const;
  bool MayReadLocally(absl::Time now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe
