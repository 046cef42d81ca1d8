// Planning: what the coordinator does next for voters and copies, and which primaries should move.
#include <algorithm>
#include <map>

#include "troupe/membership/cluster_state.h"
#include "troupe/membership/placement.h"

namespace troupe {
namespace {

// Copies that will still serve when what is under way is done: UP, in sync or catching up.
size_t LastingCopies(const ShardEntry& shard, const Copies& copies) {
  size_t count = 0;
  for (const CopySet* set : {&shard.isr, &shard.learners}) {
    for (CopyId copy : *set) count += copies.IsUp(copy) ? 1 : 0;
  }
  return count;
}

void PlanVoters(const ClusterState& state, std::vector<Command>& plan) {
  if (!state.pending.empty()) {
    plan.push_back(AdoptPendingVoters{state.pending});
    return;
  }
  std::vector<VoterId> wanted = WantedVoters(state);
  if (wanted != state.voters) plan.push_back(SetPendingVoters{state.voters, wanted});
}

struct Shortage {
  size_t lasting;
  ShardId shard;
  friend auto operator<=>(const Shortage&, const Shortage&) = default;
};

size_t CopiesWanted(const ClusterState& state) {
  return std::min<size_t>(state.config.replicas, CountHosts(state));
}

void PlanLearners(const ClusterState& state, const Copies& copies, size_t limit,
                  std::vector<Command>& plan) {
  size_t wanted = CopiesWanted(state);
  std::vector<Shortage> shortages;
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    const ShardEntry& shard = state.shards[id];
    if (shard.state != ShardState::kActive) continue;
    size_t lasting = LastingCopies(shard, copies);
    if (lasting < wanted) shortages.push_back({lasting, id});
  }
  std::sort(shortages.begin(), shortages.end());  // Those closest to loss first.
  for (const Shortage& shortage : shortages) {
    const ShardEntry& shard = state.shards[shortage.shard];
    CopySet present = Union(shard.isr, shard.learners);
    for (CopyId host :
         ChooseHosts(state, copies, shortage.shard, present, wanted - shortage.lasting)) {
      if (plan.size() >= limit) return;
      plan.push_back(AddLearner{shortage.shard, shard.epoch, host});
    }
  }
}

void PlanRemovals(const ClusterState& state, const Copies& copies, size_t limit,
                  std::vector<Command>& plan) {
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    const ShardEntry& shard = state.shards[id];
    if (shard.state != ShardState::kActive) continue;
    for (CopyId copy : shard.learners) {
      if (copies.IsUp(copy)) continue;
      if (plan.size() >= limit) return;
      plan.push_back(RemoveLearner{id, shard.epoch, copy});
    }
  }
}

// How many primaries each UP node has, with the moves planned so far counted as made.
class Load {
 public:
  Load(const ClusterState& state, const Copies& copies) : copies_(copies) {
    for (const NodeEntry& node : state.nodes) {
      if (node.state == NodeState::kUp) primaries_[node.boot] = 0;
    }
    for (const ShardEntry& shard : state.shards) {
      if (copies.IsUp(shard.primary)) ++primaries_[shard.primary];
    }
  }

  size_t Of(CopyId copy) const { return primaries_.at(copy); }

  // The least loaded of the UP copies of `set` other than `except` that host most types, and no
  // fewer than `types_min` (P3.16); 0: none.
  CopyId Least(const CopySet& set, CopyId except, size_t types_min) const {
    CopyId best = 0;
    auto rank = [this](CopyId copy) {
      return std::pair(-ptrdiff_t(copies_.TypesAt(copy)), Of(copy));
    };
    for (CopyId copy : set) {
      if (copy == except || !primaries_.contains(copy)) continue;
      if (copies_.TypesAt(copy) < types_min) continue;
      if (best == 0 || rank(copy) < rank(best)) best = copy;
    }
    return best;
  }

  void Move(CopyId from, CopyId to) {
    if (primaries_.contains(from)) --primaries_[from];
    ++primaries_[to];
  }

 private:
  const Copies& copies_;
  std::map<CopyId, size_t> primaries_;
};

bool FullyReplicated(const ClusterState& state, const Copies& copies) {
  size_t wanted = CopiesWanted(state);
  for (const ShardEntry& shard : state.shards) {
    size_t up = std::count_if(shard.isr.begin(), shard.isr.end(),
                              [&](CopyId copy) { return copies.IsUp(copy); });
    if (shard.state != ShardState::kActive || up < wanted) return false;
  }
  return true;
}

}  // namespace

std::vector<Command> PlanRepairs(const ClusterState& state, size_t limit) {
  std::vector<Command> plan;
  if (limit == 0) return plan;
  Copies copies(state);
  PlanVoters(state, plan);
  PlanLearners(state, copies, limit, plan);
  PlanRemovals(state, copies, limit, plan);
  return plan;
}

std::vector<WantedMove> PlanMoves(const ClusterState& state, size_t limit) {
  std::vector<WantedMove> moves;
  Copies copies(state);
  Load load(state, copies);
  std::vector<bool> moved(state.shards.size(), false);
  auto move = [&](ShardId id, CopyId to) {
    load.Move(state.shards[id].primary, to);
    moves.push_back({id, state.shards[id].primary, to});
    moved[id] = true;
  };
  // A node that drains hands over whatever the state of the rest.
  for (ShardId id = 0; id < state.shards.size() && moves.size() < limit; ++id) {
    const ShardEntry& shard = state.shards[id];
    if (shard.primary == 0 || copies.IsUp(shard.primary)) continue;
    if (CopyId to = load.Least(shard.isr, shard.primary, 0); to != 0) move(id, to);
  }
  if (!FullyReplicated(state, copies)) return moves;
  // The largest difference first, so that few moves do the most; each makes the load more even.
  while (moves.size() < limit) {
    ShardId best = 0;
    CopyId best_to = 0;
    size_t best_gain = 1;
    for (ShardId id = 0; id < state.shards.size(); ++id) {
      const ShardEntry& shard = state.shards[id];
      if (moved[id] || !copies.IsUp(shard.primary)) continue;
      CopyId to = load.Least(shard.isr, shard.primary, copies.TypesAt(shard.primary));
      if (to == 0 || load.Of(shard.primary) < load.Of(to) + best_gain + 1) continue;
      best = id;
      best_to = to;
      best_gain = load.Of(shard.primary) - load.Of(to);
    }
    if (best_to == 0) break;
    move(best, best_to);
  }
  return moves;
}

}  // namespace troupe
