// CopyState: what a copy of a shard keeps whichever role it has. A part of ShardReplica.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/copy_disk.h"
#include "troupe/actors/lease.h"
#include "troupe/actors/replica_message.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/actors/shard_view.h"

namespace troupe {

struct CopyState {
  CopyState(ShardId shard_, CopyId self_, ReplicaOptions options_)
      : shard(shard_),
        self(self_),
        options(options_),
        mutations(options_.mutations == nullptr ? kNoMutations : *options_.mutations) {
    if (options.durable) disk.emplace();
  }

  const ShardId shard;
  const CopyId self;
  const ReplicaOptions options;
  const ReplicaMutations mutations;

  ShardView view;        // The newest map.
  uint64_t lineage = 0;  // The highest seen, of map and messages.
  Epoch promised = 0;    // The same. Lower ones are rejected (P3.2).
  Version position;      // The last batch taken or cut.
  ActorStore store;
  GrantsGiven grants;
  uint64_t last_confirmation =
      0;                         // Ids of ConfirmRead rise across epochs: an old one never counts.
  std::optional<CopyDisk> disk;  // Of a durable shard.
  absl::Time not_before = absl::InfinitePast();  // To lead: what an earlier run granted (P4.4).
  absl::Duration stalled;                        // In all, for how long our loop did not run.
  absl::Duration round_trip_timeout;

  // Promises the epoch. A new lineage begins empty: no copy of the old one was eligible, so what
  // this one still holds is a past that may lack answered writes (P3.1).
  void Promise(uint64_t its_lineage, Epoch epoch) {
    if (epoch > promised) promised = epoch;
    if (its_lineage <= lineage) return;
    if (lineage != 0) {
      store = ActorStore();
      position = Version();
      if (disk.has_value()) disk->BeginAnew();
    }
    lineage = its_lineage;
  }

  // The store has taken `updates`, which bring the copy to `position`.
  void Keep(const std::vector<SharedUpdate>& updates) {
    if (disk.has_value()) disk->Record(updates, store, lineage, position);
  }

  // Up to which batch of `epoch` what this copy holds would survive a restart; `held` where that is
  // asked of no disk.
  uint64_t Kept(Epoch epoch, uint64_t held) const {
    if (!disk.has_value() || mutations.acknowledged_unwritten) return held;
    const Version written = disk->written();
    return written.epoch == epoch ? std::min(written.seq, held) : 0;
  }

  bool DiskIsBusy() const { return disk.has_value() && disk->waiting_since().has_value(); }
  // So much waits for the disk that nothing more is to be taken.
  bool DiskIsFull() const {
    return disk.has_value() && disk->waiting_bytes() > options.unacknowledged_bytes_max;
  }

  // For how long, in run time, the disk has owed a write.
  absl::Duration DiskOwes(absl::Time now) const {
    if (!disk.has_value() || !disk->waiting_since().has_value()) return absl::ZeroDuration();
    return RunTime(now) - *disk->waiting_since();
  }

  // Time in which our own loop ran; only that is a peer's silence (P3.10).
  absl::Duration RunTime(absl::Time now) const { return now - absl::UnixEpoch() - stalled; }
};

}  // namespace troupe
