// Apply: what each command changes, before the consequences that shard_rules.h draws.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

// What a command came to, short of an error: its effect is there already, or it wrote its change.
enum class Outcome { kAlreadySo, kChanged };
using Result = absl::StatusOr<Outcome>;

template <typename... Words>
absl::Status Refused(const Words&... words) {
  return absl::FailedPreconditionError(absl::StrCat(words...));
}
template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

// Carries one command from `before_` to `after_`.
class Change {
 public:
  Change(const ClusterState& before, ClusterState& after, const MembershipMutations& mutations)
      : before_(before), after_(after), mutations_(mutations) {}

  Result operator()(const Register& c);
  Result operator()(const Fence& c);
  Result operator()(const Unfence& c);
  Result operator()(const AlterIsr& c);
  Result operator()(const AddLearner& c);
  Result operator()(const RemoveLearner& c);
  Result operator()(const MovePrimary& c);
  Result operator()(const Drain& c);
  Result operator()(const Leave& c);
  Result operator()(const Recover& c);
  Result operator()(const DeclareLost& c);
  Result operator()(const SetPendingVoters& c);
  Result operator()(const AdoptPendingVoters& c);
  Result operator()(const SetConfig& c);

  Boot no_wait() const { return no_wait_; }

 private:
  NodeEntry* Find(const std::string& name);
  // The entry of `name` if `boot` is its current boot.
  absl::StatusOr<NodeEntry*> FindCurrent(const std::string& name, Boot boot);
  // The shard, if it exists and its epoch is `epoch` and it has a primary.
  absl::StatusOr<ShardEntry*> FindActive(ShardId id, Epoch epoch);
  absl::StatusOr<ShardEntry*> FindShard(ShardId id);
  absl::Status CheckLosesNothing(const NodeEntry& node) const;
  void ForgetOldestLeft();
  void TakePlaces(CopyId old, CopyId next);

  const ClusterState& before_;
  ClusterState& after_;
  const MembershipMutations& mutations_;
  Boot no_wait_ = 0;
};

NodeEntry* Change::Find(const std::string& name) {
  return const_cast<NodeEntry*>(after_.FindNode(name));
}

absl::StatusOr<NodeEntry*> Change::FindCurrent(const std::string& name, Boot boot) {
  NodeEntry* node = Find(name);
  if (node == nullptr) return absl::NotFoundError(absl::StrCat("there is no node ", name));
  if (node->boot != boot) {
    return Refused("node ", name, " has boot ", node->boot, ", expected ", boot);
  }
  return node;
}

absl::StatusOr<ShardEntry*> Change::FindShard(ShardId id) {
  if (id < after_.shards.size()) return &after_.shards[id];
  return absl::NotFoundError(
      absl::StrCat("there is no shard ", id, ", only 0..", after_.shards.size() - 1));
}

absl::StatusOr<ShardEntry*> Change::FindActive(ShardId id, Epoch epoch) {
  absl::StatusOr<ShardEntry*> shard = FindShard(id);
  if (!shard.ok()) return shard;
  if ((*shard)->epoch != epoch) {
    return Refused("shard ", id, " is in epoch ", (*shard)->epoch, ", expected ", epoch);
  }
  if ((*shard)->state != ShardState::kActive) return Refused("shard ", id, " has no primary");
  return shard;
}

bool TextsFit(const std::vector<std::string>& texts, size_t count_max) {
  return texts.size() <= count_max &&
         std::all_of(texts.begin(), texts.end(),
                     [](const std::string& t) { return t.size() <= kTextBytesMax; });
}

absl::Status CheckSizes(const Register& c) {
  if (c.node.empty() || c.node.size() > kTextBytesMax || c.zone.size() > kTextBytesMax) {
    return Invalid("a node name has 1..", kTextBytesMax, " bytes and a zone at most that, got ",
                   c.node.size(), " and ", c.zone.size());
  }
  if (!TextsFit(c.addresses, kAddressesMax) || !TextsFit(c.roles, kRolesMax)) {
    return Invalid("a node has at most ", kAddressesMax, " addresses and ", kRolesMax,
                   " roles of at most ", kTextBytesMax, " bytes");
  }
  if (c.nonce.IsZero()) return Invalid("node ", c.node, " registers without a nonce");
  return absl::OkStatus();
}

Result Change::operator()(const Register& c) {
  if (absl::Status s = CheckSizes(c); !s.ok()) return s;
  NodeEntry* node = Find(c.node);
  if (node != nullptr && node->nonce == c.nonce) return Outcome::kAlreadySo;
  Boot current = node == nullptr ? 0 : node->boot;
  if (current != c.replaces && !mutations_.replaces_any_boot) {
    return Refused("node ", c.node, " has boot ", current, ", the registrant replaces ",
                   c.replaces);
  }
  bool lives =
      node != nullptr && (node->state == NodeState::kUp || node->state == NodeState::kDraining);
  if (lives && !c.holds_data_lock) {
    return absl::PermissionDeniedError(absl::StrCat("node ", c.node, " boot ", node->boot, " is ",
                                                    Name(node->state),
                                                    "; without its data lock it is not replaced"));
  }
  for (const NodeEntry& other : after_.nodes) {
    bool shares = !c.storage.IsZero() && other.storage == c.storage && other.name != c.node;
    if (shares && (other.state == NodeState::kUp || other.state == NodeState::kDraining)) {
      return Refused("storage ", c.storage.ToString(), " is in use by node ", other.name);
    }
  }
  if (node == nullptr) {
    if (after_.nodes.size() >= kNodesMax) {
      return absl::ResourceExhaustedError(absl::StrCat("there are ", kNodesMax, " nodes already"));
    }
    auto at = std::lower_bound(after_.nodes.begin(), after_.nodes.end(), c.node,
                               [](const NodeEntry& n, const std::string& k) { return n.name < k; });
    node = &*after_.nodes.insert(at, NodeEntry{});
  }
  // The lock is proof that the old process is dead; what it holds in memory is gone either way.
  if (c.holds_data_lock) no_wait_ = current;
  *node = NodeEntry{};
  node->name = c.node;
  node->boot = before_.version + 1;
  node->nonce = c.nonce;
  node->addresses = c.addresses;
  node->zone = c.zone;
  node->roles = c.roles;
  node->storage = c.storage;
  if (mutations_.entry_by_node && current != 0) TakePlaces(current, node->boot);
  return Outcome::kChanged;
}

// A mutation (P1.3).
void Change::TakePlaces(CopyId old, CopyId next) {
  for (ShardEntry& shard : after_.shards) {
    for (CopySet* set : {&shard.isr, &shard.elr, &shard.learners}) {
      if (!Contains(*set, old)) continue;
      Erase(*set, old);
      Insert(*set, next);
    }
  }
}

Result Change::operator()(const Fence& c) {
  absl::StatusOr<NodeEntry*> found = FindCurrent(c.node, c.boot);
  if (!found.ok()) return found.status();
  NodeEntry& node = **found;
  if (node.generation != c.generation && !mutations_.fence_any_generation) {
    return Refused("node ", c.node, " is of generation ", node.generation, ", expected ",
                   c.generation);
  }
  if (node.state == NodeState::kFenced) return Outcome::kAlreadySo;
  if (node.state == NodeState::kLeft) return Refused("node ", c.node, " has left");
  node.state = NodeState::kFenced;
  if (c.grounds == Fence::Grounds::kProofOfDeath || mutations_.no_wait_on_suspicion) {
    no_wait_ = c.boot;
  }
  if (mutations_.min_isr_falls) after_.config.min_isr = 1;
  return Outcome::kChanged;
}

Result Change::operator()(const Unfence& c) {
  absl::StatusOr<NodeEntry*> found = FindCurrent(c.node, c.boot);
  if (!found.ok()) return found.status();
  NodeEntry& node = **found;
  bool fenced = node.state == NodeState::kFenced;
  if (!fenced && node.state != NodeState::kLeft && node.generation == c.generation + 1) {
    return Outcome::kAlreadySo;
  }
  if (!fenced || (node.generation != c.generation && !mutations_.fence_any_generation)) {
    return Refused("node ", c.node, " is ", Name(node.state), " in generation ", node.generation,
                   ", expected FENCED in ", c.generation);
  }
  node.state = NodeState::kUp;
  node.generation += 1;
  return Outcome::kChanged;
}

Result Change::operator()(const Drain& c) {
  absl::StatusOr<NodeEntry*> found = FindCurrent(c.node, c.boot);
  if (!found.ok()) return found.status();
  NodeEntry& node = **found;
  if (node.state == NodeState::kDraining) return Outcome::kAlreadySo;
  if (node.state != NodeState::kUp) {
    return Refused("node ", c.node, " is ", Name(node.state), ", expected UP");
  }
  node.state = NodeState::kDraining;
  return Outcome::kChanged;
}

// A leave is orderly: it takes the last copy of nothing.
absl::Status Change::CheckLosesNothing(const NodeEntry& node) const {
  const Copies copies(after_);
  for (ShardId id = 0; id < after_.shards.size(); ++id) {
    if (IsLastCopy(after_.shards[id], copies, node.boot)) {
      return Refused("node ", node.name, " holds the last copy of shard ", id);
    }
  }
  return absl::OkStatus();
}

void Change::ForgetOldestLeft() {
  auto left = [](const NodeEntry& node) { return node.state == NodeState::kLeft; };
  auto count = std::count_if(after_.nodes.begin(), after_.nodes.end(), left);
  if (static_cast<size_t>(count) <= kLeftNodesKept) return;
  auto oldest = after_.nodes.end();
  for (auto at = after_.nodes.begin(); at != after_.nodes.end(); ++at) {
    if (left(*at) && (oldest == after_.nodes.end() || at->boot < oldest->boot)) oldest = at;
  }
  after_.nodes.erase(oldest);
}

Result Change::operator()(const Leave& c) {
  absl::StatusOr<NodeEntry*> found = FindCurrent(c.node, c.boot);
  if (!found.ok()) return found.status();
  NodeEntry& node = **found;
  if (node.state == NodeState::kLeft) return Outcome::kAlreadySo;
  for (const auto* voters : {&after_.voters, &after_.pending}) {
    for (const VoterId& voter : *voters) {
      if (voter.node == c.node) return Refused("node ", c.node, " is still a voter");
    }
  }
  if (absl::Status s = CheckLosesNothing(node); !s.ok()) return s;
  node.state = NodeState::kLeft;
  ForgetOldestLeft();
  LowerMinIsr(after_);
  return Outcome::kChanged;
}

Result Change::operator()(const AlterIsr& c) {
  if (c.isr.size() > kCopiesMax || !IsCopySet(c.isr)) {
    return Invalid("the isr wanted for shard ", c.shard, " is not a sorted set of at most ",
                   kCopiesMax, " copies");
  }
  absl::StatusOr<ShardEntry*> found = FindActive(c.shard, c.epoch);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  if (shard.primary != c.primary) {
    return Refused("shard ", c.shard, " has primary ", shard.primary, ", expected ", c.primary);
  }
  if (shard.isr_version == c.isr_version + 1 && shard.isr == c.isr) return Outcome::kAlreadySo;
  if (shard.isr_version != c.isr_version && !mutations_.alter_without_compare) {
    return Refused("shard ", c.shard, " is at isr_version ", shard.isr_version, ", expected ",
                   c.isr_version);
  }
  // Asking for the present set withdraws whatever else was proposed on this version: its compare
  // now fails for ever. A primary has no other way to learn that an AlterIsr will never be applied.
  if (shard.isr == c.isr) shard.isr_version = c.isr_version + 1;
  if (!Contains(c.isr, c.primary)) {
    return Invalid("the isr wanted for shard ", c.shard, " lacks its primary ", c.primary);
  }
  for (CopyId copy : Difference(c.isr, shard.isr)) {
    if (mutations_.isr_takes_anyone) continue;
    if (!Contains(shard.learners, copy) || !before_.IsUp(copy)) {
      return Refused("copy ", copy, " of shard ", c.shard, " is not a learner on an UP node");
    }
  }
  shard.isr = c.isr;
  return Outcome::kChanged;
}

Result Change::operator()(const AddLearner& c) {
  absl::StatusOr<ShardEntry*> found = FindActive(c.shard, c.epoch);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  if (Contains(shard.isr, c.copy) || Contains(shard.learners, c.copy)) return Outcome::kAlreadySo;
  if (!before_.IsUp(c.copy)) return Refused("copy ", c.copy, " is on no UP node");
  if (shard.learners.size() >= kReplicasMax) {
    return Refused("shard ", c.shard, " has ", kReplicasMax, " learners already");
  }
  Insert(shard.learners, c.copy);
  return Outcome::kChanged;
}

Result Change::operator()(const RemoveLearner& c) {
  absl::StatusOr<ShardEntry*> found = FindActive(c.shard, c.epoch);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  if (!Contains(shard.learners, c.copy)) return Outcome::kAlreadySo;
  Erase(shard.learners, c.copy);
  return Outcome::kChanged;
}

Result Change::operator()(const MovePrimary& c) {
  absl::StatusOr<ShardEntry*> found = FindShard(c.shard);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  bool moved = shard.state == ShardState::kActive && shard.epoch == c.epoch + 1 &&
               shard.no_wait == c.from && shard.primary != c.from &&
               (c.to == 0 || shard.primary == c.to);
  if (moved && c.from != 0) return Outcome::kAlreadySo;
  found = FindActive(c.shard, mutations_.move_without_compare ? shard.epoch : c.epoch);
  if (!found.ok()) return found.status();
  const bool compares = shard.primary == c.from && shard.isr_version == c.isr_version;
  if (!compares && !mutations_.move_without_compare) {
    return Refused("shard ", c.shard, " has primary ", shard.primary, " at isr_version ",
                   shard.isr_version, ", expected ", c.from, " at ", c.isr_version);
  }
  if (c.to == c.from) return Invalid("the primary of shard ", c.shard, " moves to itself");
  Copies copies(before_);
  CopyId to = c.to;
  if (to == 0) {
    CopySet others = shard.isr;
    Erase(others, c.from);
    to = copies.Elect(c.shard, others);
    if (!copies.IsUp(to)) to = copies.Elect(c.shard, shard.elr);
  }
  if (!copies.IsUp(to) || !(Contains(shard.isr, to) || Contains(shard.elr, to))) {
    return Refused("shard ", c.shard, " has no electable copy ", c.to, " on an UP node");
  }
  if (!Contains(shard.isr, to)) {  // From ELR: the rest stays electable.
    shard.elr = Union(shard.isr, shard.elr);
    shard.isr = {to};
  }
  Elect(shard, to, c.from);
  return Outcome::kChanged;
}

Result Change::operator()(const Recover& c) {
  absl::StatusOr<ShardEntry*> found = FindShard(c.shard);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  if (shard.lineage == c.lineage + 1) return Outcome::kAlreadySo;
  if (shard.lineage != c.lineage || shard.state != ShardState::kLost) {
    return Refused("shard ", c.shard, " is of lineage ", shard.lineage, " and ",
                   shard.state == ShardState::kLost ? "lost" : "not lost", ", expected lost in ",
                   c.lineage);
  }
  std::vector<CopyId> host = ChooseHosts(before_, Copies(before_), c.shard, {}, 1);
  if (host.empty()) return Refused("there is no UP node to hold shard ", c.shard);
  shard.lineage += 1;
  shard.isr = host;
  Elect(shard, host.front(), 0);
  return Outcome::kChanged;
}

Result Change::operator()(const DeclareLost& c) {
  absl::StatusOr<ShardEntry*> found = FindShard(c.shard);
  if (!found.ok()) return found.status();
  ShardEntry& shard = **found;
  if (shard.lineage != c.lineage || shard.epoch != c.epoch) {
    return Refused("shard ", c.shard, " is of lineage ", shard.lineage, " in epoch ", shard.epoch,
                   ", expected ", c.lineage, " in ", c.epoch);
  }
  if (shard.state == ShardState::kLost) return Outcome::kAlreadySo;
  if (shard.state != ShardState::kNoPrimary) return Refused("shard ", c.shard, " has a primary");
  shard.isr.clear();
  shard.elr.clear();
  shard.learners.clear();
  shard.state = ShardState::kLost;
  shard.isr_version += 1;
  return Outcome::kChanged;
}

Result Change::operator()(const SetPendingVoters& c) {
  bool sorted = std::adjacent_find(c.to.begin(), c.to.end(), std::greater_equal<>()) == c.to.end();
  if (c.to.empty() || c.to.size() > kVotersMax || !sorted) {
    return Invalid("the voters wanted are not a sorted set of 1..", kVotersMax);
  }
  if (after_.pending == c.to) return Outcome::kAlreadySo;
  if (!after_.pending.empty()) return Refused("another change of voters is under way");
  if (after_.voters == c.to) return Outcome::kAlreadySo;
  if (after_.voters != c.from) return Refused("the voters are not those expected");
  for (const VoterId& voter : c.to) {
    if (std::binary_search(c.from.begin(), c.from.end(), voter)) continue;
    const NodeEntry* node = after_.FindNode(voter.node);
    if (node == nullptr || node->state != NodeState::kUp || VoterOf(*node) != voter) {
      return Refused("the new voter on ", voter.node, " is no current process of an UP node");
    }
  }
  after_.pending = c.to;
  return Outcome::kChanged;
}

Result Change::operator()(const AdoptPendingVoters& c) {
  if (c.pending.empty()) return Invalid("no voters to adopt are named");
  if (after_.pending.empty() && after_.voters == c.pending) return Outcome::kAlreadySo;
  if (after_.pending != c.pending) return Refused("the pending voters are not those expected");
  after_.voters = std::exchange(after_.pending, {});
  return Outcome::kChanged;
}

Result Change::operator()(const SetConfig& c) {
  ClusterConfig wanted = after_.config;
  if (c.replicas != 0) wanted.replicas = c.replicas;
  if (c.min_isr_setting != 0) wanted.min_isr_setting = c.min_isr_setting;
  if (wanted.replicas > kReplicasMax || wanted.min_isr_setting > wanted.replicas) {
    return Invalid("expected min_isr <= replicas <= ", kReplicasMax, ", got ",
                   wanted.min_isr_setting, " and ", wanted.replicas);
  }
  if (wanted == after_.config) return Outcome::kAlreadySo;
  after_.config = wanted;
  LowerMinIsr(after_);  // What the operator sets counts at once; a rise waits for the copies.
  return Outcome::kChanged;
}

}  // namespace

absl::StatusOr<Applied> Apply(const ClusterState& state, const Command& command,
                              const MembershipMutations& mutations) {
  if (state.version == 0) return Refused("there is no value yet to apply a command to");
  if (state.format > kClusterFormat) {
    return Refused("the value has format ", state.format, ", this program knows ", kClusterFormat);
  }
  Applied applied{state, false};
  Change change(state, applied.state, mutations);
  Result outcome = std::visit(change, command);
  if (!outcome.ok()) return outcome.status();
  if (*outcome == Outcome::kAlreadySo) return applied;
  Settle(state, applied.state, change.no_wait(), mutations);
  RaiseMinIsr(applied.state);
  applied.state.version = state.version + 1;
  applied.changed = true;
  return applied;
}

}  // namespace troupe
