#include "troupe/actors/shard_of.h"

namespace troupe {

ShardId ShardOf(const ActorId& actor, const ClusterState& map) {
  const size_t role = map.RoleOfType(actor.type);
  return map.FirstShardOf(role) + ShardOf(actor, map.roles[role].shards);
}

}  // namespace troupe
