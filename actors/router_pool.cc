// Router, part three: which node runs a call to a pool (P6.18).
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_name.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/router_lane.h"

namespace troupe {
namespace {

// Evenly, also of every second or third number: those of one loop of each node (Worker::OwnerOf).
size_t Spread(uint64_t number, size_t count) {
  constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;
  return static_cast<size_t>(((number * kGoldenRatio) >> 32) * count >> 32);
}

}  // namespace

// Which nodes host the type, kept for as long as the map says so.
const std::vector<const NodeEntry*>& Router::HostsOf(uint64_t type) const {
  if (hosts_map_ != map_) {
    hosts_.clear();
    hosts_map_ = map_;
  }
  auto [it, is_new] = hosts_.try_emplace(type);
  if (is_new) {
    for (const auto& node : map_->nodes) {
      const bool hosts = std::binary_search(node.types.begin(), node.types.end(), type);
      if (hosts && node.state == NodeState::kUp) it->second.push_back(&node);
    }
  }
  return it->second;
}

// Here, if this node hosts it; when it could not be run there, one after the other of all that do.
Router::Place Router::LocatePool(const Outgoing& call, std::string& node, std::string& why) const {
  if (!map_) {
    why = absl::StrCat("no node of the cluster has answered yet", surroundings_.Troubles());
    return Place::kNowhere;
  }
  const auto& hosts = HostsOf(call.header.actor.type);
  if (hosts.empty()) {
    const auto& actor = call.header.actor;
    const bool may_come =
        std::any_of(map_->nodes.begin(), map_->nodes.end(), [&](const auto& node) {
          return node.state != NodeState::kLeft &&
                 std::binary_search(node.types.begin(), node.types.end(), actor.type);
        });
    if (!may_come) {
      why = WhyNotHosted(actor, "", *map_);
      return Place::kLost;
    }
    why = absl::StrCat("no node that is up hosts the type, in map ", map_->version);
    return Place::kNowhere;
  }
  const size_t tries = static_cast<size_t>(call.attempts);
  const size_t first = Spread(*NumberOfPoolKey(call.header.actor.key), hosts.size()) + tries;
  for (size_t i = 0; i < hosts.size() && tries == 0; ++i) {
    if (hosts[i]->boot == self_) return Place::kHere;
  }
  for (size_t i = 0; i < hosts.size(); ++i) {
    const auto& host = *hosts[(first + i) % hosts.size()];
    if (host.boot == self_) return Place::kHere;
    node = host.name;
    if (links_.Find(node) != nullptr) return Place::kNode;
    links_.Want(node, host.addresses.empty() ? "" : host.addresses.front(), host.boot);
  }
  why = absl::StrCat("no connection to any of the ", hosts.size(), " nodes that host the type",
                     surroundings_.Troubles());
  return Place::kNowhere;
}

}  // namespace troupe
