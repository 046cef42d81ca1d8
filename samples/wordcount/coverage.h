// Coverage: how well the shards of a cluster are covered by copies, from one map.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "troupe/membership/cluster_state.h"

struct Coverage {
  size_t serving = 0;  // Shards that have a primary.
  size_t shards = 0;
  size_t fewest_copies = 0;  // Of any shard: in sync and on live nodes.
  size_t wanted_copies = 0;  // As many as can be: replicas, or all nodes that can hold them.
  size_t up = 0;
  std::map<std::string, size_t> primaries;  // By node that is up.
  bool full() const { return shards > 0 && serving == shards && fewest_copies >= wanted_copies; }
};

Coverage Cover(const troupe::ClusterState& map);
