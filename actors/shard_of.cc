#include "troupe/actors/shard_of.h"

namespace troupe {

ShardId ShardOf(const ActorId& actor, const ClusterState& map) {
  const size_t role = map.RoleOfType(actor.type);
  return map.FirstShardOf(role) + ShardOf(actor, map.roles[role].shards);
}

std::string KeyBeside(const ActorId& actor, const ClusterState& map, std::string_view name) {
  return KeyBeside(actor, map.roles[map.RoleOfType(actor.type)].shards, name);
}

}  // namespace troupe
