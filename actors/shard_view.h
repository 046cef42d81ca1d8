// ShardView: what one copy of a shard needs to know of one version of the map.
//
// A value taken from a whole ClusterState, so that everything in it is of one version (P3.5).
#pragma once

#include <cstdint>
#include <vector>

#include "troupe/membership/cluster_state.h"
#include "troupe/membership/placement.h"

namespace troupe {

struct ShardView {
  uint64_t map_version = 0;
  ShardEntry entry;
  uint32_t min_isr = 1;
  uint32_t nodes = 1;    // That are members: more than one makes rule P3.13 apply.
  CopySet up;            // Copies of this shard whose node is in state kUp.
  CopySet alive;         // The same, and those whose node drains.
  bool self_up = false;  // This process: up or draining.

  bool IsUp(CopyId copy) const;     // May join the ISR, or be moved to.
  bool IsAlive(CopyId copy) const;  // May be elected: up or draining.
};

// `shard` must be < state.shards.size().
ShardView ViewOf(const ClusterState& state, ShardId shard, CopyId self);

CopySet Without(const CopySet& set, CopyId copy);

}  // namespace troupe
