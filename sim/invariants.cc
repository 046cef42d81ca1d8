#include "troupe/sim/invariants.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_store.h"

namespace troupe::sim {

void Invariants::Step() {
  bool news = false;
  std::vector<Present> copies;
  for (const auto& name : cluster_.names()) {
    if (!cluster_.has(name)) continue;
    const Node& node = cluster_.node(name);
    if (auto map = cluster_.node(name).membership().map()) news = TakeMap(name, map) || news;
    node.ForEachReplica([&](const ShardReplica& replica) {
      LookAt(name, replica);
      copies.push_back({&name, &replica});
    });
  }
  voters_.Step();
  if (maps_.empty()) return;
  if (news) voters_.CheckHeld(*maps_.rbegin()->second);
  CheckMarks(copies);
  CheckReaders(copies);
  if (ledgers_ == nullptr) return;
  if (!news && ledgers_->answered() == answered_) return;
  answered_ = ledgers_->answered();
  CompareCopies(news ? All::kYes : All::kNo);
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
  if (newer.version == older.version + 1 && newer.config.min_isr < older.config.min_isr && as_set &&
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
    CheckLoss(id, older);
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

// P3.7, between two versions with at most one change of the shard's sets.
void Invariants::CompareSets(ShardId id, const ClusterState& older, const ClusterState& newer) {
  const auto wrong = [&](const char* what) {
    problem_("copy sets", absl::StrCat("shard ", id, ", map ", older.version, " to ", newer.version,
                                       ": ", what));
  };
  const auto in = [](const CopySet& set, CopyId copy) {
    return std::find(set.begin(), set.end(), copy) != set.end();
  };
  const ShardEntry &before = older.shards[id], &after = newer.shards[id];
  const bool enough = after.isr.size() >= newer.config.min_isr;
  if (after.state == ShardState::kLost || before.lineage != after.lineage) return;
  if (after.primary != 0 && enough && !after.elr.empty()) wrong("elr though isr is large enough");
  if (after.isr_version > before.isr_version + 1) return;
  for (CopyId copy : before.isr) {
    if (enough || in(after.isr, copy) || in(after.elr, copy)) continue;
    const NodeEntry* node = newer.FindBoot(copy);
    if (node != nullptr && node->state != NodeState::kLeft) {
      wrong("who left a small isr is not in elr");
    }
  }
  for (CopyId copy : after.isr) {
    if (in(before.isr, copy) || in(before.elr, copy) || in(before.learners, copy)) continue;
    wrong("who joins the isr was no learner");
  }
}

// Only the end of their processes takes the last copies.
void Invariants::CheckLoss(ShardId id, const ClusterState& older) {
  lost_ = true;
  for (const auto* set : {&older.shards[id].isr, &older.shards[id].elr}) {
    for (CopyId copy : *set) {
      const NodeEntry* node = older.FindBoot(copy);
      if (node == nullptr || !cluster_.has(node->name)) continue;
      if (cluster_.node(node->name).membership().boot() != copy) continue;
      problem_("lost copies", absl::StrCat("shard ", id, " is lost after map ", older.version,
                                           ", but its copy on ", node->name, " lives"));
    }
  }
}

// ---- Copies

void Invariants::LookAt(const std::string& node, const ShardReplica& replica) {
  Copy& copy = copies_[{replica.shard(), replica.self()}];
  const auto wrong = [&](const char* what) {
    problem_("epochs", absl::StrCat("shard ", replica.shard(), " on ", node, ": ", what));
  };
  if (replica.promised() < copy.promised) wrong("its promise falls");
  if (replica.position() < copy.position && replica.position() != Version()) {
    wrong("its position falls");
  }
  copy = {replica.promised(), replica.position()};
  NoteMark(replica);
  if (!replica.serving()) return;
  auto [it, fresh] = served_.try_emplace({replica.shard(), replica.epoch()}, replica.self());
  if (it->second == replica.self()) return;
  problem_("one primary",
           absl::StrCat("shard ", replica.shard(), ", epoch ", replica.epoch(), ": copies ",
                        it->second, " and ", replica.self(), " serve it"));
}

void Invariants::NoteMark(const ShardReplica& replica) {
  const Version complete = replica.complete();
  if (complete.seq == 0) return;
  Mark& mark = marks_[replica.shard()];
  const uint64_t lineage = replica.view().entry.lineage;
  if (lineage < mark.lineage) return;
  if (lineage > mark.lineage) mark = {lineage, {}};
  mark.complete = std::max(mark.complete, complete);
}

// P3.5, P3.9: what any primary counts as complete is at every copy that could be elected.
void Invariants::CheckMarks(const std::vector<Present>& copies) {
  const ClusterState& newest = *maps_.rbegin()->second;
  for (const auto& [node, replica] : copies) {
    const auto mark = marks_.find(replica->shard());
    const ShardEntry& entry = newest.shards[replica->shard()];
    if (mark == marks_.end() || mark->second.lineage != entry.lineage) continue;
    if (replica->position() >= mark->second.complete) continue;
    if (!Contains(entry.isr, replica->self()) && !Contains(entry.elr, replica->self())) continue;
    const auto say = [](Version v) { return absl::StrCat("(", v.epoch, ", ", v.seq, ")"); };
    problem_("marks",
             absl::StrCat("shard ", replica->shard(), ": all have ", say(mark->second.complete),
                          ", says a primary; copy ", replica->self(), " on ", *node,
                          " could be elected and has ", say(replica->position())));
  }
}

// P4: who might read without asking anybody, while others may write.
void Invariants::CheckReaders(const std::vector<Present>& copies) {
  std::map<ShardId, Present> leads;  // The highest epoch that is served.
  for (const Present& copy : copies) {
    if (!copy.replica->serving()) continue;
    auto [it, fresh] = leads.try_emplace(copy.replica->shard(), copy);
    if (!fresh && it->second.replica->epoch() < copy.replica->epoch()) it->second = copy;
  }
  for (const auto& [node, replica] : copies) {
    if (!replica->serving()) continue;
    const Present& leader = leads.at(replica->shard());
    if (leader.replica->epoch() == replica->epoch()) continue;
    const absl::Time now = cluster_.world().machine(*node).control().clock().Now();
    if (!replica->MayReadLocally(now)) continue;
    problem_("leases", absl::StrCat("shard ", replica->shard(), ": copy ", replica->self(), " on ",
                                    *node, " may read in epoch ", replica->epoch(), " while ",
                                    leader.replica->self(), " on ", *leader.node, " serves epoch ",
                                    leader.replica->epoch()));
  }
}

void Invariants::CompareCopies(All all) {
  if (ledgers_ == nullptr || maps_.empty()) return;
  if (all == All::kYes) compared_.clear();
  const SharedMap newest = maps_.rbegin()->second;
  for (const auto& name : cluster_.names()) {
    if (!cluster_.has(name)) continue;
    const Node& node = cluster_.node(name);
    node.ForEachReplica([&](const ShardReplica& replica) { CheckCopy(name, replica, *newest); });
  }
  for (const auto& [key, book] : ledgers_->books()) compared_[key] = book.newest;
}

void Invariants::CheckCopy(const std::string& node, const ShardReplica& replica,
                           const ClusterState& newest) {
  const ShardEntry& entry = newest.shards[replica.shard()];
  if (entry.lineage != 1) return;  // Began anew: what was answered before is lost, and said so.
  const auto in = [&](const auto& set) {
    return std::find(set.begin(), set.end(), replica.self()) != set.end();
  };
  if (!in(entry.isr) && !in(entry.elr)) return;
  for (const auto& [key, book] : ledgers_->books()) {
    const auto before = compared_.find(key);
    if (before != compared_.end() && before->second == book.newest) continue;
    const ActorId id = Ledgers::IdOf(key);
    if (ShardOf(id, newest.config.shards) != replica.shard()) continue;
    const StoredActor* stored = replica.store().Find(id);
    ledgers_->CheckState(
        absl::StrCat("copy ", replica.self(), " of shard ", replica.shard(), " on ", node), key,
        stored == nullptr ? nullptr : stored->state.get());
  }
}

bool Invariants::Healed(absl::Duration limit) {
  if (cluster_.Settle(limit)) return true;
  problem_("healing", absl::StrCat("not whole ", absl::FormatDuration(limit),
                                   " after healing: ", cluster_.Describe()));
  return false;
}

}  // namespace troupe::sim
