#include "troupe/membership/cluster_state.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {

const NodeEntry* ClusterState::FindNode(std::string_view name) const {
  auto at = std::lower_bound(nodes.begin(), nodes.end(), name,
                             [](const NodeEntry& n, std::string_view key) { return n.name < key; });
  return at != nodes.end() && at->name == name ? &*at : nullptr;
}

const HostedType* ClusterState::FindType(uint64_t id) const {
  auto at = std::lower_bound(types.begin(), types.end(), id,
                             [](const HostedType& type, uint64_t key) { return type.id < key; });
  return at != types.end() && at->id == id ? &*at : nullptr;
}

size_t ClusterState::RoleOf(ShardId shard) const {
  size_t role = 0;
  for (ShardId end = 0; role + 1 < roles.size(); ++role) {
    end += roles[role].shards;
    if (shard < end) break;
  }
  return role;
}

size_t ClusterState::FindRole(std::string_view name, bool durable) const {
  auto at = std::find_if(roles.begin(), roles.end(), [&](const RoleEntry& role) {
    return role.name == name && role.durable == durable;
  });
  return static_cast<size_t>(at - roles.begin());
}

size_t ClusterState::RoleOfType(uint64_t type) const {
  const HostedType* known = FindType(type);
  const size_t role = known == nullptr ? 0 : FindRole(known->role, known->durable);
  return role < roles.size() ? role : 0;
}

ShardId ClusterState::FirstShardOf(size_t role) const {
  ShardId first = 0;
  for (size_t i = 0; i < role; ++i) first += roles[i].shards;
  return first;
}

const NodeEntry* ClusterState::FindBoot(Boot boot) const {
  for (const NodeEntry& node : nodes) {
    if (node.boot == boot && boot != 0) return &node;
  }
  return nullptr;
}

bool ClusterState::IsUp(Boot boot) const {
  const NodeEntry* node = FindBoot(boot);
  return node != nullptr && node->state == NodeState::kUp;
}

ClusterState Found(Id128 cluster, ClusterConfig config, std::vector<Founder> founders) {
  ClusterState state;
  state.version = founders.size();
  state.cluster = cluster;
  state.config = config;
  state.config.shards = std::max<uint32_t>(1, config.shards);
  state.config.replicas = std::clamp<uint32_t>(config.replicas, 1, kReplicasMax);
  Boot boot = 0;
  for (Founder& founder : founders) {
    NodeEntry node;
    node.name = std::move(founder.name);
    node.boot = ++boot;
    node.nonce = founder.nonce;
    node.addresses = std::move(founder.addresses);
    node.zone = std::move(founder.zone);
    node.roles = std::move(founder.roles);
    node.storage = founder.storage;
    node.types = IdsOf(founder.types);
    state.nodes.push_back(std::move(node));
    TakeTypes(state, founder.types);
  }
  std::sort(state.nodes.begin(), state.nodes.end(),
            [](const NodeEntry& a, const NodeEntry& b) { return a.name < b.name; });
  state.voters = WantedVoters(state);
  std::set<std::tuple<bool, std::string, bool>> groups;  // Default first.
  for (const HostedType& type : state.types) {
    groups.emplace(type.role != kDefaultRole, type.role, type.durable);
  }
  if (groups.empty()) groups.emplace(false, kDefaultRole, false);
  for (const auto& [other, role, durable] : groups) AddRole(state, role, durable);
  RaiseMinIsr(state);
  return state;
}

namespace {

std::string Names(const std::vector<VoterId>& voters) {
  return absl::StrJoin(voters, ",",
                       [](std::string* out, const VoterId& v) { absl::StrAppend(out, v.node); });
}

struct Describer {
  std::string operator()(const Register& c) const {
    return absl::StrCat("Register ", c.node, " nonce ", c.nonce.ToString(), " replaces boot ",
                        c.replaces);
  }
  std::string operator()(const Fence& c) const {
    const char* grounds = c.grounds == Fence::Grounds::kProofOfDeath ? "proof" : "evidence";
    return absl::StrCat("Fence ", c.node, " boot ", c.boot, " generation ", c.generation, " by ",
                        grounds);
  }
  std::string operator()(const Unfence& c) const {
    return absl::StrCat("Unfence ", c.node, " boot ", c.boot, " generation ", c.generation);
  }
  std::string operator()(const AlterIsr& c) const {
    return absl::StrCat("AlterIsr shard ", c.shard, " epoch ", c.epoch, " isr_version ",
                        c.isr_version, " to {", absl::StrJoin(c.isr, ","), "}");
  }
  std::string operator()(const AddLearner& c) const {
    return absl::StrCat("AddLearner shard ", c.shard, " epoch ", c.epoch, " copy ", c.copy);
  }
  std::string operator()(const RemoveLearner& c) const {
    return absl::StrCat("RemoveLearner shard ", c.shard, " epoch ", c.epoch, " copy ", c.copy);
  }
  std::string operator()(const MovePrimary& c) const {
    return absl::StrCat("MovePrimary shard ", c.shard, " epoch ", c.epoch, " from ", c.from, " to ",
                        c.to);
  }
  std::string operator()(const Drain& c) const {
    return absl::StrCat("Drain ", c.node, " boot ", c.boot);
  }
  std::string operator()(const Leave& c) const {
    return absl::StrCat("Leave ", c.node, " boot ", c.boot);
  }
  std::string operator()(const Recover& c) const {
    return absl::StrCat("Recover shard ", c.shard, " lineage ", c.lineage);
  }
  std::string operator()(const DeclareLost& c) const {
    return absl::StrCat("DeclareLost shard ", c.shard, " lineage ", c.lineage, " epoch ", c.epoch);
  }
  std::string operator()(const SetPendingVoters& c) const {
    return absl::StrCat("SetPendingVoters ", Names(c.from), " to ", Names(c.to));
  }
  std::string operator()(const AdoptPendingVoters& c) const {
    return absl::StrCat("AdoptPendingVoters ", Names(c.pending));
  }
  std::string operator()(const SetConfig& c) const {
    return absl::StrCat("SetConfig replicas ", c.replicas, " min_isr ", c.min_isr_setting);
  }
};

}  // namespace

std::string Describe(const Command& command) { return std::visit(Describer{}, command); }

std::string Describe(const RoleEntry& group) {
  return group.durable ? absl::StrCat(group.name, ", on disk") : group.name;
}

const char* Name(NodeState state) {
  switch (state) {
    case NodeState::kUp:
      return "UP";
    case NodeState::kDraining:
      return "DRAINING";
    case NodeState::kFenced:
      return "FENCED";
    case NodeState::kLeft:
      return "LEFT";
  }
  return "?";
}

}  // namespace troupe
