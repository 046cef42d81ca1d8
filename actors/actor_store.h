// ActorStore: the actors of one shard as one copy holds them, each as of the batch that last
// changed it, and the mark up to which all in-sync copies are known to hold the same.
//
// Pure; not thread-safe. The primary's store changes by the very updates it sends, so that what is
// sent under a position is never live state (docs/protocol.md P3.9).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "troupe/actors/replica_message.h"

namespace troupe {

struct StoredActor {
  Version version;
  bool tombstone = false;
  std::shared_ptr<const std::string> state;  // Never null.
  RecordTable records;
  uint64_t turn = 0;
  uint64_t oldest_unsettled = 0;
  bool resume = false;
  bool called = false;
  ReminderTable::Snapshot reminders;  // Null: none.
  OutboxSnapshot outbox;              // Null: nothing.
  WatchSnapshot watches;              // Null: none.
  SharedHold hold;                    // Null: none.
};

class ActorStore {
 public:
  // Null when there is none, or a tombstone.
  const StoredActor* Find(const ActorId& actor) const;
  // (0, 0) when there is none; tombstones have one.
  Version VersionOf(const ActorId& actor) const;

  enum class Outcome : uint8_t {
    kApplied,
    kOlder,      // Not above what is held (P3.3); nothing changed.
    kWrongBase,  // A delta on something else; nothing changed.
  };
  Outcome Check(const ActorUpdate& update) const;  // What Apply would say.
  Outcome Apply(const ActorUpdate& update);

  // The actor as held now, or its tombstone, as an update to version `stamp`.
  SharedUpdate Image(const ActorId& actor, Version stamp) const;
  SharedUpdate Image(const ActorId& actor) const { return Image(actor, VersionOf(actor)); }

  // Every actor with a version above the mark; every actor. Tombstones included; sorted.
  std::vector<Report::Entry> ListAboveMark() const;
  std::vector<Report::Entry> ListAll() const;

  // The mark only rises. Tombstones that it covers are forgotten: no in-sync copy has the actor.
  void RaiseMark(Version mark);
  Version mark() const { return mark_; }

  // Drops what calls records have outlived (P6.4). A copy does this by itself: ages mean the same
  // on all copies.
  void AgeRecords(absl::Time now);

  size_t size() const { return actors_.size(); }
  // Actors to activate without being called; in order of their ids.
  std::vector<ActorId> ListToResume() const;
  // Actors that have reminders, with the time at which the first is due; in no order.
  std::vector<std::pair<ActorId, absl::Time>> ListReminders() const;
  // Actors that watch others, in no order.
  std::vector<std::pair<ActorId, WatchSnapshot>> ListWatches() const;
  // Actors of which nothing is left that anybody could ask for; in order of their ids. Not those
  // that have called others: a later actor of that name must go on counting where they ended.
  std::vector<ActorId> ListEmpty() const;

 private:
  StoredActor& Slot(const ActorId& actor, Version version);

  absl::flat_hash_map<ActorId, std::unique_ptr<StoredActor>> actors_;
  // Actors by the version of an update, above the mark. An actor changed again stays listed under
  // its earlier versions until the mark covers them.
  std::map<Version, std::vector<ActorId>> recent_;
  Version mark_;
};

}  // namespace troupe
