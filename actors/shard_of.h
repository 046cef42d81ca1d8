// ShardOf, KeyBeside, by a map: in which shard an actor is.
#pragma once

#include <string>
#include <string_view>

#include "troupe/actors/actor_id.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// Of the shards of its type's role (docs/protocol.md P3.17). One of the first role's for a type
// that the map does not know: whoever has that shard knows more, or says that nobody hosts it.
ShardId ShardOf(const ActorId& actor, const ClusterState& map);

// By a map that knows the actor's type: see actor_id.h.
std::string KeyBeside(const ActorId& actor, const ClusterState& map, std::string_view name);

}  // namespace troupe
