#include "coverage.h"

#include <algorithm>

#include "troupe/membership/placement.h"

Coverage Cover(const troupe::ClusterState& map) {
  Coverage out;
  for (const auto& node : map.nodes) {
    if (node.state != troupe::NodeState::kUp) continue;
    ++out.up;
    out.primaries[node.name] = 0;
  }
  out.shards = map.shards.size();
  out.wanted_copies =
      std::min<size_t>(map.config.replicas, troupe::CountHosts(map, troupe::Copies(map), 0));
  out.fewest_copies = out.wanted_copies;
  for (const auto& shard : map.shards) {
    size_t live = 0;
    for (auto copy : shard.isr) live += map.IsUp(copy);
    out.fewest_copies = std::min(out.fewest_copies, live);
    const auto* primary = map.FindBoot(shard.primary);
    if (shard.state != troupe::ShardState::kActive || primary == nullptr) continue;
    ++out.serving;
    ++out.primaries[primary->name];
  }
  return out;
}
