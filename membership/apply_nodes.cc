// Apply, of commands about nodes: who registers, is fenced, drains, leaves.
#include <algorithm>
#include <utility>

#include "troupe/membership/apply_change.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe::apply {
namespace {

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
  if (absl::Status s = CheckTypes(c.node, c.types); !s.ok()) return s;
  return CheckStorage(c.node, c.types, c.storage);
}

// Who may replace the process of `node`: the dead, and whoever else is not there.
absl::Status CheckReplaces(const Register& c, const NodeEntry& node, bool keeps_storage) {
  if (c.holds_data_lock) return absl::OkStatus();
  if (node.state == NodeState::kUp || node.state == NodeState::kDraining) {
    return absl::PermissionDeniedError(absl::StrCat("node ", c.node, " boot ", node.boot, " is ",
                                                    Name(node.state),
                                                    "; without its data lock it is not replaced"));
  }
  // It would lose the copies that are on that storage, which is still there.
  if (keeps_storage && node.state == NodeState::kFenced) {
    return absl::PermissionDeniedError(
        absl::StrCat("node ", c.node, " boot ", node.boot, " has storage ", c.storage.ToString(),
                     "; without its data lock that is not taken over"));
  }
  return absl::OkStatus();
}

bool Rename(CopySet& set, CopyId old, CopyId next) {
  if (!Contains(set, old)) return false;
  Erase(set, old);
  Insert(set, next);
  return true;
}

}  // namespace

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

Result Change::operator()(const Register& c) {
  if (absl::Status s = CheckSizes(c); !s.ok()) return s;
  NodeEntry* node = Find(c.node);
  if (node != nullptr && node->nonce == c.nonce) return Outcome::kAlreadySo;
  Boot current = node == nullptr ? 0 : node->boot;
  if (current != c.replaces && !mutations_.replaces_any_boot) {
    return Refused("node ", c.node, " has boot ", current, ", the registrant replaces ",
                   c.replaces);
  }
  const bool same_storage = node != nullptr && !c.storage.IsZero() && node->storage == c.storage;
  if (node != nullptr) {
    const bool keeps = same_storage && !mutations_.rename_without_lock;
    if (absl::Status s = CheckReplaces(c, *node, keeps); !s.ok()) return s;
  }
  for (const NodeEntry& other : after_.nodes) {
    bool shares = !c.storage.IsZero() && other.storage == c.storage && other.name != c.node;
    if (shares && (other.state == NodeState::kUp || other.state == NodeState::kDraining)) {
      return Refused("storage ", c.storage.ToString(), " is in use by node ", other.name);
    }
  }
  if (absl::Status s = CheckFits(after_, c.node, c.types); !s.ok()) return s;
  if (node == nullptr) {
    if (after_.nodes.size() >= kNodesMax) {
      return absl::ResourceExhaustedError(absl::StrCat("there are ", kNodesMax, " nodes already"));
    }
    auto at = std::lower_bound(after_.nodes.begin(), after_.nodes.end(), c.node,
                               [](const NodeEntry& n, const std::string& k) { return n.name < k; });
    node = &*after_.nodes.insert(at, NodeEntry{});
  }
  // The lock is proof that the old process is dead; what it held in memory is gone either way.
  if (c.holds_data_lock) no_wait_ = current;
  const bool keeps_copies = (same_storage || mutations_.rename_any_storage) &&
                            (c.holds_data_lock || mutations_.rename_without_lock);
  *node = NodeEntry{};
  node->name = c.node;
  node->boot = before_.version + 1;
  node->nonce = c.nonce;
  node->addresses = c.addresses;
  node->zone = c.zone;
  node->roles = c.roles;
  node->storage = c.storage;
  node->types = IdsOf(c.types);
  TakeTypesAndGroups(after_, c.types);
  if (keeps_copies && current != 0) RenameDurable(current, node->boot);
  if (mutations_.entry_by_node && current != 0) TakePlaces(current, node->boot);
  return Outcome::kChanged;
}

// P3.18: what the disk holds is all that the old process acknowledged, so the new one is in sync
// where that was. What was under way to the old one is in doubt: the next epoch reconciles it. One
// that learned learns anew.
void Change::RenameDurable(CopyId old, CopyId next) {
  const Copies copies(after_);
  for (ShardId id = 0; id < before_.shards.size(); ++id) {
    if (!after_.IsDurable(id)) continue;
    ShardEntry& shard = after_.shards[id];
    Rename(shard.elr, old, next);
    if (!Rename(shard.isr, old, next) || shard.state != ShardState::kActive) continue;
    CopyId primary = shard.primary;
    if (primary == old) {
      primary = copies.TypesAt(next, id) > 0 ? next : copies.Elect(id, shard.isr);
    }
    if (mutations_.rename_in_epoch) {
      shard.primary = primary;
    } else {
      Elect(shard, primary, no_wait_);
    }
  }
}

// A mutation (P1.3).
void Change::TakePlaces(CopyId old, CopyId next) {
  for (ShardEntry& shard : after_.shards) {
    for (CopySet* set : {&shard.isr, &shard.elr, &shard.learners}) Rename(*set, old, next);
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
  if (mutations_.min_isr_falls) {
    for (RoleEntry& role : after_.roles) role.min_isr = 1;
  }
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
  if (absl::Status s = CheckFits(after_, node); !s.ok()) return s;
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

}  // namespace troupe::apply
