// RecordTable: what one actor remembers of the calls it has answered, so that none runs twice.
//
// Pure; not thread-safe. Part of the actor's replicated state: every change of the table is in the
// same batch as the effect it records (docs/protocol.md P6.1 to P6.5). Times are the local clock's,
// passed in; they travel as ages.
// Source: Lee et al., "Implementing Linearizability at Large Scale and Low Latency" (RIFL), 2015.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr absl::Duration kDeadlineMax = absl::Minutes(5);  // Of any call (P6.4).
inline constexpr absl::Duration kRecordAge = absl::Minutes(10);   // Twice that, after the answer.
// Per actor: what 64 clients with 256 calls each leave behind when they end; then calls wait.
inline constexpr size_t kRecordsMax = 16384;
inline constexpr size_t kRecordOriginsMax = 4096;          // Clients, and calling actors.
inline constexpr size_t kRecordResultBytesMax = 64 << 10;  // Larger: kTooLarge.
// Of one actor's table: results, and all as it is encoded. With the largest state it fits a frame.
// Beyond either the oldest results are forgotten, down to three quarters of what they may take.
inline constexpr size_t kRecordResultsBytesMax = 4 << 20;
inline constexpr size_t kRecordTableBytesMax = 7 << 20;

// Set in the turn of a record that an earlier epoch of the calling actor left behind: the turn was
// perhaps undone, and its number used again. The mark alone does not drop such a record; it must
// also be as old as a client's when it goes (P6.5).
inline constexpr uint64_t kPerhapsUndone = uint64_t{1} << 63;

// How a call names itself.
struct ClientCall {
  Id128 client;
  uint64_t sequence = 0;
  uint64_t first_incomplete = 0;  // Every call of this client below it has been answered.
};
struct ActorCall {
  ActorId caller;
  uint64_t lineage = 0;  // Of the caller's shard, with its epoch.
  Epoch epoch = 0;
  uint64_t turn = 0;
  uint64_t oldest_unsettled = 0;  // The caller's lowest turn that may still repeat its calls.
  Id128 id;                       // Derived from the inbound call (P6.5).
  bool told = false;              // Made again while it fails only for now (P6.6).
};
using CallId = std::variant<ClientCall, ActorCall>;

// Null for one that is not told.
inline const ActorCall* ToldCall(const CallId& id) {
  const auto* call = std::get_if<ActorCall>(&id);
  return call != nullptr && call->told ? call : nullptr;
}

enum class RecordStatus : uint8_t {
  kOk,
  kError,
  kTooLarge,  // Answered, but the result is not kept: it was over kRecordResultBytesMax, or the
              // table's results were over their bound. A retry gets ResultGone.
  kBegun,     // A snapshot was taken in mid-call (P6.8); replaced by one of the others.
};

struct CallRecord {
  uint64_t argument_hash = 0;
  RecordStatus status = RecordStatus::kOk;
  std::shared_ptr<const std::string> result;     // Never null; empty when there is none.
  absl::Time answered = absl::InfiniteFuture();  // kBegun does not age.
  uint64_t turn = 0;                             // Of the calling actor; unused for clients.
};

// What a call meets. Known: `record` is set and valid until the table next changes.
struct RecordLookup {
  enum class Kind : uint8_t {
    kUnknown,    // May run.
    kKnown,      // Answer from the record.
    kMismatch,   // Same id, other arguments: RetryMismatch.
    kStale,      // Below the floor or mark: was answered and forgotten; must not run.
    kRefused,    // From an older epoch of the calling actor: must not run.
    kOvertaken,  // Was refused, which its caller has not heard, and a later call of the client has
                 // run: must not run (P6.9).
  };
  Kind kind = Kind::kUnknown;
  const CallRecord* record = nullptr;
};

// A change of a table as a value: the whole of it, or what changed since the last one taken.
struct RecordChanges {
  struct Client {
    Id128 client;
    uint64_t floor = 0;
    absl::Time moved;  // When the floor or a record last moved; local, as `answered`.
    bool dropped = false;
    std::vector<std::pair<uint64_t, CallRecord>> records;  // By sequence.
  };
  struct Caller {
    ActorId caller;
    uint64_t lineage = 0;
    Epoch epoch = 0;
    uint64_t mark = 0;
    absl::Time moved = absl::InfinitePast();  // As of a client.
    bool dropped = false;
    std::vector<std::pair<Id128, CallRecord>> records;
  };
  bool whole = false;
  std::vector<Client> clients;
  std::vector<Caller> callers;

  bool empty() const { return !whole && clients.empty() && callers.empty(); }
  size_t bytes() const;  // No less than what they are when encoded.

  // Appends what changed later.
  void Append(RecordChanges&& later);
  // Drops what later changes have overwritten; then what is left is no larger than the table.
  void Compact();
};

class RecordTable {
 public:
  RecordTable() = default;

  RecordLookup Lookup(const CallId& call, uint64_t argument_hash,
                      const ReplicaMutations& mutations = kNoMutations) const;

  // What a call says of calls before it: raises the client's floor, or the caller's epoch and mark,
  // and drops the records below. To be called when Lookup() did not say kStale or kRefused.
  void AdvanceFloor(absl::Time now, const CallId& call,
                    const ReplicaMutations& mutations = kNoMutations);

  // What a calling actor says when it has nothing more to repeat: AdvanceFloor() for a caller that
  // is known, and not for an older epoch of it. False when nothing was to be done.
  bool Settle(absl::Time now, const ActorCall& last);

  // Whether `open` more calls can be recorded; if not they are OVERLOADED, before they run.
  absl::Status CheckRoom(size_t open) const;

  // Records the answer (or that the call has begun). Replaces a kBegun record of the same id. A
  // result over the limit is recorded as kTooLarge. The bound of CheckRoom is the caller's duty.
  void Add(absl::Time now, const CallId& call, uint64_t argument_hash, RecordStatus status,
           std::string result);

  // Drops client records answered kRecordAge ago, those of earlier epochs of calling actors after
  // the same time, and clients and callers silent as long of whom no record is left (P6.4: whatever
  // they sent before has passed its deadline). A dropped record raises the floor past it: whatever
  // a client asked before has passed its deadline too. True: single records of calling actors went,
  // which only TakeWhole() tells.
  bool Age(absl::Time now);

  // The whole table; and what changed since the last TakeWhole or TakeChanges, which is then
  // forgotten. Both empty the list of changes.
  RecordChanges TakeWhole();
  RecordChanges TakeChanges();
  // The whole table, leaving the list of changes alone.
  RecordChanges Whole() const;

  // Empties the list of changes, for a table that nobody takes changes of.
  void ForgetChanges();

  // Replays what another table's Take... gave. Times are local ones: the codec converts.
  void Replay(const RecordChanges& changes);

  size_t record_count() const { return record_count_; }
  size_t result_bytes() const { return result_bytes_; }
  size_t encoded_bytes() const;  // At most, of the whole table.
  bool empty() const { return clients_.empty() && callers_.empty(); }
  // Of all that decides how a call is answered; for checks of copies against each other.
  uint64_t Fingerprint() const;
  // The earliest moment at which Age() has something to do.
  absl::Time NextAging() const;

 private:
  struct Client {
    uint64_t floor = 0;
    absl::Time moved = absl::InfinitePast();
    std::map<uint64_t, CallRecord> records;
  };
  struct Caller {
    uint64_t lineage = 0;
    Epoch epoch = 0;
    uint64_t mark = 0;
    absl::Time moved = absl::InfinitePast();
    std::map<Id128, CallRecord> records;
  };

  Client& Touch(absl::Time now, const Id128& client);
  Caller& Touch(absl::Time now, const ActorId& caller);
  void DropBelow(Client& client, uint64_t floor);
  void DropBelow(Caller& caller, uint64_t mark);
  template <typename Id>
  void Put(std::map<Id, CallRecord>& records, const Id& id, CallRecord record);
  void Uncount(const CallRecord& record);
  void BoundResults(const CallRecord& newest);
  static RecordLookup Judge(const CallRecord* record, uint64_t argument_hash);

  std::map<Id128, Client> clients_;
  std::map<ActorId, Caller> callers_;
  size_t record_count_ = 0;
  size_t result_bytes_ = 0;
  size_t key_bytes_ = 0;  // Of callers_.
  // What moved since the last Take: who, and which records of theirs.
  std::map<Id128, std::set<uint64_t>> moved_clients_;
  std::map<ActorId, std::set<Id128>> moved_callers_;
};

}  // namespace troupe
