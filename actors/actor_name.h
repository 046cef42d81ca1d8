// Actor names: what actors are called in errors and logs, by the types that the map knows.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "troupe/actors/actor_id.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// "Counter/alice"; with the type's id where the map, which may be null, has no name for it.
std::string NameOf(const ActorId& actor, const ClusterState* map);

// Why a call to an actor that belongs to `node` now cannot run there: the node does not host its
// type. Says which nodes do.
std::string WhyNotHosted(const ActorId& actor, std::string_view node, const ClusterState& map);

}  // namespace troupe
