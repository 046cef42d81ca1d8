// ShardOf, by a map: in which shard an actor is.
#pragma once

#include "troupe/actors/actor_id.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// Of the shards of its type's role (docs/protocol.md P3.17). One of the first role's for a type
// that the map does not know: whoever has that shard knows more, or says that nobody hosts it.
ShardId ShardOf(const ActorId& actor, const ClusterState& map);

}  // namespace troupe
