// CopyState: what a copy of a shard keeps whichever role it has. A part of ShardReplica.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "troupe/actors/actor_store.h"
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
        mutations(options_.mutations == nullptr ? kNoMutations : *options_.mutations) {}

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
      0;                   // Ids of ConfirmRead rise across epochs: an old one never counts.
  absl::Duration stalled;  // In all, for how long our loop did not run.
  absl::Duration round_trip_timeout;

  // Promises the epoch. A new lineage begins empty: no copy of the old one was eligible, so what
  // this one still holds is a past that may lack answered writes (P3.1).
  void Promise(uint64_t its_lineage, Epoch epoch) {
    if (epoch > promised) promised = epoch;
    if (its_lineage <= lineage) return;
    if (lineage != 0) {
      store = ActorStore();
      position = Version();
    }
    lineage = its_lineage;
  }

  // Time in which our own loop ran; only that is a peer's silence (P3.10).
  absl::Duration RunTime(absl::Time now) const { return now - absl::UnixEpoch() - stalled; }
};

}  // namespace troupe
