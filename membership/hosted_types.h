// Hosted types: what nodes say that they host, and which nodes can be in one cluster.
//
// Pure. Any node that hosts types of a group (a role's durable types, or its others) may come to
// lead any shard of it, so of two of them one must host all of it that the other does; a rolling
// upgrade that adds or drops types is a chain of such sets (docs/protocol.md P1.7). Types are
// sorted by id throughout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

std::vector<uint64_t> IdsOf(const std::vector<HostedType>& types);

// Whether, group by group, one of two sets holds the other. The empty set fits with all.
bool Fit(const std::vector<HostedType>& a, const std::vector<HostedType>& b);
// What a node of the state hosts, as the table has it.
std::vector<HostedType> TypesOf(const ClusterState& state, const NodeEntry& node);

// Whether a node may say this of itself: sorted, named, within the limits. InvalidArgument.
absl::Status CheckTypes(std::string_view node, const std::vector<HostedType>& types);

// Whether a node that hosts these can keep them: durable types need storage. InvalidArgument.
absl::Status CheckStorage(std::string_view node, const std::vector<HostedType>& types,
                          const Id128& storage);

// Whether node `name` may be a member beside the other nodes of `state` that are UP or DRAINING.
// InvalidArgument says what each hosts and what would be right.
absl::Status CheckFits(const ClusterState& state, std::string_view name,
                       const std::vector<HostedType>& types);
// The same of a node whose entry `state` has.
absl::Status CheckFits(const ClusterState& state, const NodeEntry& node);

// Takes checked types into the table; names that no member has any more make room. The second also
// appends the groups that are new.
void TakeTypes(ClusterState& state, const std::vector<HostedType>& types);
void TakeTypesAndGroups(ClusterState& state, const std::vector<HostedType>& types);

// "Counter, Ledger (on disk), Trainer (gpu) and 7 more": names, with their groups, sorted, cut
// where they are long. "nothing" of none.
std::string ListTypes(const std::vector<HostedType>& types);
// The nodes that are UP or DRAINING and host the type, for errors: "n1, n2 and 5 more"; or empty.
std::string ListHosts(const ClusterState& state, uint64_t type);

// What must hold of the table and of what nodes host, in every value. InvalidArgument.
absl::Status ValidateTypes(const ClusterState& state);

}  // namespace troupe
