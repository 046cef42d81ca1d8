#include "troupe/sim/invariants.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/placement.h"

namespace troupe::sim {

void Invariants::Step() {
  bool news = false;
  for (const auto& name : cluster_.names()) {
    if (!cluster_.has(name)) continue;
    if (auto map = cluster_.node(name).membership().map()) news = TakeMap(name, map) || news;
  }
  voters_.Step();
  const ClusterState* newest = maps_.empty() ? nullptr : maps_.rbegin()->second.get();
  if (news) voters_.CheckHeld(*newest);
  copies_.Step(newest, news);
}

// ---- Maps

bool Invariants::TakeMap(const std::string& node, const SharedMap& map) {
  const Boot boot = cluster_.node(node).membership().boot();
  SharedMap& last = seen_[{node, boot}];
  if (last == map) return false;
  // Runs that are not registered yet are not told apart: each begins with what its disk has.
  if (boot != 0 && last && map->version < last->version) {
    problem_("map falls",
             absl::StrCat(node, " goes from map ", last->version, " back to ", map->version));
  }
  last = map;
  auto [it, fresh] = maps_.try_emplace(map->version, map);
  if (!fresh) {
    if (!(*it->second == *map)) {
      problem_("one chain", absl::StrCat("map ", map->version, " of ", node,
                                         " is another one than others have"));
    }
    return true;
  }
  if (it != maps_.begin()) CompareMaps(*std::prev(it)->second, *map);
  if (auto next = std::next(it); next != maps_.end()) CompareMaps(*map, *next->second);
  return true;
}

void Invariants::CompareMaps(const ClusterState& older, const ClusterState& newer) {
  const auto wrong = [&](const auto&... words) {
    problem_("one chain", absl::StrCat("map ", newer.version, " does not follow from ",
                                       older.version, ": ", words...));
  };
  if (older.cluster != newer.cluster || older.generation > newer.generation) {
    return wrong("another cluster or generation");
  }
  const bool as_set = older.config.min_isr_setting == newer.config.min_isr_setting;
  const auto left = [](const ClusterState& map) {
    return std::count_if(map.nodes.begin(), map.nodes.end(),
                         [](const NodeEntry& node) { return node.state == NodeState::kLeft; });
  };
  bool falls = false;
  for (size_t i = 0; i < older.roles.size(); ++i) {
    if (i >= newer.roles.size() || newer.roles[i].shards != older.roles[i].shards) {
      return wrong("the shards of role ", older.roles[i].name, " are others");
    }
    falls = falls || newer.roles[i].min_isr < older.roles[i].min_isr;
  }
  if (newer.version == older.version + 1 && falls && as_set &&
      older.generation == newer.generation && left(newer) == left(older)) {
    return wrong("min_isr falls though nobody left");
  }
  for (const NodeEntry& before : older.nodes) {
    const NodeEntry* after = newer.FindNode(before.name);
    if (after == nullptr) continue;  // Forgotten, long after it left.
    if (after->boot < before.boot) return wrong("the boot of ", before.name, " falls");
    if (after->boot != before.boot) continue;
    if (after->generation < before.generation) {
      return wrong("the generation of ", before.name, " falls");
    }
    if (after->nonce != before.nonce) return wrong("a boot of ", before.name, " has two nonces");
  }
  for (const NodeEntry& after : newer.nodes) {
    const NodeEntry* before = older.FindNode(after.name);
    const bool fresh = before == nullptr || before->boot != after.boot;
    if (fresh && after.boot <= older.version) {
      return wrong("node ", after.name, " appears with the boot of an older version");
    }
  }
  const size_t shards = std::min(older.shards.size(), newer.shards.size());
  for (ShardId id = 0; id < shards; ++id) CompareShards(id, older, newer);
}

void Invariants::CompareShards(ShardId id, const ClusterState& older, const ClusterState& newer) {
  const auto wrong = [&](const char* what) {
    problem_("epochs", absl::StrCat("shard ", id, ", map ", older.version, " to ", newer.version,
                                    ": ", what));
  };
  const ShardEntry &before = older.shards[id], &after = newer.shards[id];
  if (after.state == ShardState::kLost && before.state != ShardState::kLost) {
    CheckLoss(id, older, newer);
  }
  if (after.lineage < before.lineage) return wrong("the lineage falls");
  if (after.epoch < before.epoch) return wrong("the epoch falls");
  if (after.isr_version < before.isr_version) return wrong("the isr_version falls");
  const bool led = before.primary != 0 && after.primary != 0;
  if (after.epoch == before.epoch && led && after.primary != before.primary) {
    return wrong("one epoch has two primaries");
  }
  if (after.isr_version == before.isr_version && after.isr != before.isr) {
    return wrong("the isr changes under one isr_version");
  }
  if (newer.version == older.version + 1) CompareSets(id, older, newer);
}

namespace {

// Whether `newer` has a later run of that node on the same storage.
bool SameStorage(const NodeEntry& node, const ClusterState& newer) {
  const NodeEntry* next = newer.FindNode(node.name);
  return next != nullptr && next->boot != node.boot && !node.storage.IsZero() &&
         next->storage == node.storage;
}

// The shard in `older`, with copies under the boots that they have in `newer` (P3.18).
ShardEntry AsNamed(ShardId id, const ClusterState& older, const ClusterState& newer) {
  ShardEntry shard = older.shards[id];
  if (!older.IsDurable(id)) return shard;
  for (CopySet* set : {&shard.isr, &shard.elr}) {
    for (CopyId& copy : *set) {
      const NodeEntry* node = older.FindBoot(copy);
      if (node != nullptr && SameStorage(*node, newer)) copy = newer.FindNode(node->name)->boot;
    }
    std::sort(set->begin(), set->end());
  }
  return shard;
}

}  // namespace

// P3.7, between two versions with at most one change of the shard's sets.
void Invariants::CompareSets(ShardId id, const ClusterState& older, const ClusterState& newer) {
  const auto wrong = [&](const char* what) {
    const auto set = [](const CopySet& copies) { return absl::StrJoin(copies, ","); };
    const ShardEntry &a = older.shards[id], &b = newer.shards[id];
    problem_("copy sets",
             absl::StrCat("shard ", id, ", map ", older.version, " to ", newer.version, ": ", what,
                          "; isr {", set(a.isr), "} elr {", set(a.elr), "} learners {",
                          set(a.learners), "} to isr {", set(b.isr), "} elr {", set(b.elr),
                          "} learners {", set(b.learners), "}"));
  };
  const ShardEntry before = AsNamed(id, older, newer);
  const ShardEntry& after = newer.shards[id];
  const bool enough = after.isr.size() >= newer.min_isr(id);
  if (after.state == ShardState::kLost || before.lineage != after.lineage) return;
  if (after.primary != 0 && enough && !after.elr.empty()) wrong("elr though isr is large enough");
  if (after.isr_version > before.isr_version + 1) return;
  for (CopyId copy : before.isr) {
    if (enough || Contains(after.isr, copy) || Contains(after.elr, copy)) continue;
    const NodeEntry* node = newer.FindBoot(copy);
    if (node != nullptr && node->state != NodeState::kLeft) {
      wrong("who left a small isr is not in elr");
    }
  }
  for (CopyId copy : after.isr) {
    if (Contains(before.isr, copy) || Contains(before.elr, copy) || Contains(before.learners, copy))
      continue;
    wrong("who joins the isr was no learner");
  }
  for (CopyId copy : after.isr) {
    const NodeEntry* node = newer.FindBoot(copy);
    // One that is held back may still be elected where there is no other (P3.11).
    if (Contains(before.isr, copy) || Contains(before.elr, copy)) continue;
    if (node != nullptr && node->state != NodeState::kFenced) continue;
    wrong("who joins the isr is not up");
  }
}

// Only the end of their processes takes the last copies, or of durable ones that of their storage.
void Invariants::CheckLoss(ShardId id, const ClusterState& older, const ClusterState& newer) {
  lost_ = true;
  for (const auto* set : {&older.shards[id].isr, &older.shards[id].elr}) {
    for (CopyId copy : *set) {
      const NodeEntry* node = older.FindBoot(copy);
      if (node == nullptr) continue;
      if (older.IsDurable(id) && SameStorage(*node, newer)) {
        problem_("lost copies", absl::StrCat("shard ", id, " is lost after map ", older.version,
                                             ", but ", node->name, " has the storage of its copy"));
      }
      if (!cluster_.has(node->name)) continue;
      if (cluster_.node(node->name).membership().boot() != copy) continue;
      problem_("lost copies", absl::StrCat("shard ", id, " is lost after map ", older.version,
                                           ", but its copy on ", node->name, " lives"));
    }
  }
}

bool Invariants::Healed(absl::Duration limit) {
  if (cluster_.Settle(limit)) return true;
  problem_("healing", absl::StrCat("not whole ", absl::FormatDuration(limit),
                                   " after healing: ", cluster_.Describe()));
  return false;
}

}  // namespace troupe::sim
