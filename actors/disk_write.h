// DiskWrite: what a copy of a durable shard has its disk take in one step, as a value.
//
// Asked for by ShardReplica (shard_replica.h), done in order by whoever owns the disk. Replayed
// from the beginning, the writes of a copy give just what it holds in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "troupe/actors/replica_message.h"

namespace troupe {

struct DiskWrite {
  // An image or a tombstone takes the place of all there is of its actor; the k-th delta since
  // comes behind those before it.
  struct Put {
    SharedUpdate update;
    uint32_t index = 0;  // Of the delta, from 1; 0: no delta.
    uint32_t erased =
        0;  // Image, tombstone: the deltas whose place it takes have indices up to here.
  };
  struct Erase {  // All there is of an actor.
    ActorId actor;
    uint32_t deltas = 0;
  };

  uint64_t number = 0;  // From 1 in each run of the process.
  bool anew = false;  // All that the disk has of the shard is of a past that ended: it goes first.
  uint64_t lineage = 0;
  Version position;  // Of the copy, after this write.
  Version mark;      // Of its store.
  std::vector<Put> puts;
  std::vector<Erase> erased;
};

}  // namespace troupe
