#include "troupe/membership/shard_rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/limits.h"

namespace troupe {
namespace {

void KeepExisting(CopySet& set, const Copies& copies) {
  std::erase_if(set, [&](CopyId copy) { return !copies.Exists(copy); });
}

CopySet Alive(const CopySet& set, const Copies& copies) {
  CopySet alive;
  for (CopyId copy : set) {
    if (copies.IsAlive(copy)) alive.push_back(copy);
  }
  return alive;
}

// Nobody can be elected: the copies that are left wait. ELR copies hold all that was answered, so
// they are the in-sync set when nothing else is left of it.
void Wait(ShardEntry& shard) {
  shard.primary = 0;
  shard.no_wait = 0;
  shard.state = ShardState::kNoPrimary;
  if (shard.isr.empty()) std::swap(shard.isr, shard.elr);
  if (!shard.isr.empty()) return;
  shard.state = ShardState::kLost;
  shard.learners.clear();
}

void SettlePrimary(ShardId id, ShardEntry& shard, const Copies& copies, Boot no_wait,
                   const MembershipMutations& mutations) {
  CopySet alive = Alive(shard.isr, copies);
  if (!alive.empty()) {
    shard.isr = std::move(alive);
    if (!Contains(shard.isr, shard.primary)) {
      Elect(shard, copies.Elect(id, shard.isr), no_wait);
    }
    return;
  }
  if (mutations.fence_removes_last && shard.isr.size() == 1) shard.isr.clear();
  CopyId heir = copies.Elect(id, shard.elr);
  if (mutations.fence_removes_last && heir == 0) heir = copies.Elect(id, shard.learners);
  if (heir == 0) return Wait(shard);
  shard.elr = Union(shard.isr, shard.elr);
  shard.isr = {heir};
  Elect(shard, heir, no_wait);
}

void SettleShard(ShardId id, const ShardEntry& before, ShardEntry& shard, const Copies& copies,
                 uint32_t min_isr, Boot no_wait, const MembershipMutations& mutations) {
  if (shard.state == ShardState::kLost) return;
  KeepExisting(shard.isr, copies);
  KeepExisting(shard.elr, copies);
  std::erase_if(shard.learners, [&](CopyId copy) { return !copies.IsAlive(copy); });

  SettlePrimary(id, shard, copies, no_wait, mutations);
  if (mutations.epoch_stays && before.epoch > 1) shard.epoch = before.epoch;

  if (shard.isr.size() < min_isr) {
    if (!mutations.elr_never_filled)
      shard.elr = Union(shard.elr, Difference(before.isr, shard.isr));
    KeepExisting(shard.elr, copies);
  } else if (shard.primary != 0 && !mutations.elr_never_emptied) {
    shard.elr.clear();
  }
  shard.elr = Difference(shard.elr, shard.isr);
  shard.learners = Difference(shard.learners, shard.isr);
  // A learner that goes may come back empty; an AlterIsr that was to add it must fail for ever.
  const bool learner_left =
      !Difference(Difference(before.learners, shard.learners), shard.isr).empty();
  if (shard.isr != before.isr || shard.epoch != before.epoch || learner_left) {
    if (!mutations.isr_version_stays || shard.isr.size() > before.isr.size()) {
      shard.isr_version = before.isr_version + 1;
    }
  }
}

}  // namespace

void Elect(ShardEntry& shard, CopyId copy, Boot no_wait) {
  shard.primary = copy;
  shard.epoch += 1;
  shard.no_wait = no_wait;
  shard.state = ShardState::kActive;
}

void Settle(const ClusterState& before, ClusterState& after, Boot no_wait,
            const MembershipMutations& mutations) {
  Copies copies(after);
  for (ShardId id = 0; id < after.shards.size(); ++id) {
    if (id >= before.shards.size()) continue;  // Of a new role: as the command dealt them out.
    SettleShard(id, before.shards[id], after.shards[id], copies, after.min_isr(id), no_wait,
                mutations);
  }
}

namespace {

uint32_t WantedMinIsr(const ClusterState& state, const Copies& copies, size_t role) {
  const ShardId shard = state.FirstShardOf(role);
  auto hosts = static_cast<uint32_t>(
      std::count_if(state.nodes.begin(), state.nodes.end(), [&](const NodeEntry& node) {
        return node.state != NodeState::kLeft && copies.TypesAt(node.boot, shard) > 0;
      }));
  uint32_t setting = state.config.min_isr_setting;
  uint32_t wanted = setting != 0 ? std::min(setting, hosts) : hosts >= 3 ? 2 : 1;
  return std::clamp<uint32_t>(wanted, 1, std::max<uint32_t>(1, state.config.replicas));
}

}  // namespace

void LowerMinIsr(ClusterState& state) {
  const Copies copies(state);
  for (size_t role = 0; role < state.roles.size(); ++role) {
    uint32_t& min_isr = state.roles[role].min_isr;
    min_isr = std::min(min_isr, WantedMinIsr(state, copies, role));
  }
}

void RaiseMinIsr(ClusterState& state) {
  const Copies copies(state);
  auto shard = state.shards.begin();
  for (size_t role = 0; role < state.roles.size(); ++role) {
    size_t smallest = WantedMinIsr(state, copies, role);
    for (uint32_t i = 0; i < state.roles[role].shards; ++i, ++shard) {
      smallest = std::min(smallest, shard->isr.size());
    }
    uint32_t& min_isr = state.roles[role].min_isr;
    min_isr = std::max(min_isr, static_cast<uint32_t>(smallest));
  }
}

namespace {

absl::Status Wrong(ShardId id, const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("shard ", id, ": ", what));
}

absl::Status ValidateShard(ShardId id, const ShardEntry& shard, const Copies& copies,
                           uint32_t min_isr) {
  for (const CopySet* set : {&shard.isr, &shard.elr, &shard.learners}) {
    if (!IsCopySet(*set)) return Wrong(id, "a copy set is not sorted or has duplicates");
    for (CopyId copy : *set) {
      if (!copies.Exists(copy)) return Wrong(id, "a copy is no node's current boot");
    }
  }
  if (shard.epoch == 0 || shard.lineage == 0 || shard.isr_version == 0) {
    return Wrong(id, "epoch, lineage and isr_version start at 1");
  }
  if (Difference(shard.elr, shard.isr) != shard.elr) return Wrong(id, "a copy is in isr and elr");
  if (Difference(shard.learners, shard.isr) != shard.learners) {
    return Wrong(id, "a copy is in isr and learners");
  }
  switch (shard.state) {
    case ShardState::kActive:
      if (!Contains(shard.isr, shard.primary)) return Wrong(id, "the primary is not in isr");
      for (CopyId copy : shard.isr) {
        if (!copies.IsAlive(copy)) return Wrong(id, "isr of an active shard holds a dead copy");
      }
      if (shard.isr.size() >= min_isr && !shard.elr.empty()) {
        return Wrong(id, "elr is not empty though isr has min_isr copies");
      }
      return absl::OkStatus();
    case ShardState::kNoPrimary:
      if (shard.primary != 0) return Wrong(id, "has a primary though its state says none");
      if (shard.isr.empty()) return Wrong(id, "isr is empty though the shard is not lost");
      for (const CopySet* set : {&shard.isr, &shard.elr}) {
        for (CopyId copy : *set) {
          if (copies.IsAlive(copy)) return Wrong(id, "waits though an electable copy is alive");
        }
      }
      return absl::OkStatus();
    case ShardState::kLost:
      if (shard.primary != 0 || !shard.isr.empty() || !shard.elr.empty() ||
          !shard.learners.empty()) {
        return Wrong(id, "is lost and has copies");
      }
      return absl::OkStatus();
  }
  return Wrong(id, "its state is none we know");
}

absl::Status ValidateVoters(const std::vector<VoterId>& voters, const char* name) {
  if (std::adjacent_find(voters.begin(), voters.end(), std::greater_equal<>()) != voters.end()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " are not sorted or have duplicates"));
  }
  for (const VoterId& voter : voters) {
    if (voter.node.empty() || voter.id.IsZero()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " hold one without node or id"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateRoles(const ClusterState& state) {
  uint64_t shards = 0;
  for (size_t i = 0; i < state.roles.size(); ++i) {
    const RoleEntry& role = state.roles[i];
    if (role.name.empty() || state.FindRole(role.name, role.durable) != i) {
      return absl::InvalidArgumentError("a role has no name, or one name has two of one kind");
    }
    if (role.durable && state.format < kDurableFormat) {
      return absl::InvalidArgumentError(absl::StrCat("role ", Describe(role), " in format ",
                                                     state.format, ", expected ", kDurableFormat));
    }
    if (role.shards == 0 || role.min_isr == 0) {
      return absl::InvalidArgumentError(absl::StrCat("role ", role.name, " has shards ",
                                                     role.shards, " and min_isr ", role.min_isr,
                                                     ", expected more than 0"));
    }
    shards += role.shards;
  }
  if (shards != state.shards.size() || state.roles.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the roles have ", shards, " shards, there are ", state.shards.size()));
  }
  return absl::OkStatus();
}

absl::Status ValidateNodes(const ClusterState& state) {
  std::vector<Boot> boots;
  for (size_t i = 0; i < state.nodes.size(); ++i) {
    const NodeEntry& node = state.nodes[i];
    if (node.name.empty() || (i > 0 && state.nodes[i - 1].name >= node.name)) {
      return absl::InvalidArgumentError("nodes are not sorted by name, or a name is empty");
    }
    if (node.boot == 0 || node.boot > state.version) {
      return absl::InvalidArgumentError(absl::StrCat("node ", node.name, " has boot ", node.boot,
                                                     ", expected 1..", state.version));
    }
    boots.push_back(node.boot);
  }
  std::sort(boots.begin(), boots.end());
  if (std::adjacent_find(boots.begin(), boots.end()) != boots.end()) {
    return absl::InvalidArgumentError("two nodes have the same boot");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ClusterState& state) {
  if (state.version == 0) return absl::InvalidArgumentError("version is 0");
  const ClusterConfig& config = state.config;
  if (config.replicas == 0 || config.shards == 0) {
    return absl::InvalidArgumentError(absl::StrCat("config has replicas ", config.replicas,
                                                   " and shards ", config.shards,
                                                   ", expected more than 0"));
  }
  if (absl::Status s = ValidateRoles(state); !s.ok()) return s;
  if (state.voters.empty()) return absl::InvalidArgumentError("there are no voters");
  if (absl::Status s = ValidateVoters(state.voters, "voters"); !s.ok()) return s;
  if (absl::Status s = ValidateVoters(state.pending, "pending voters"); !s.ok()) return s;
  if (absl::Status s = ValidateNodes(state); !s.ok()) return s;
  if (absl::Status s = ValidateTypes(state); !s.ok()) return s;
  Copies copies(state);
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    absl::Status s = ValidateShard(id, state.shards[id], copies, state.min_isr(id));
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace troupe
