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

// Of each shard, by its group.
std::vector<size_t> CopiesWanted(const ClusterState& state, const Copies& copies) {
  std::vector<size_t> wanted;
  for (size_t role = 0; role < state.roles.size(); ++role) {
    wanted.push_back(std::min<size_t>(state.config.replicas, CountHosts(state, copies, role)));
  }
  return wanted;
}

void PlanLearners(const ClusterState& state, const Copies& copies, size_t limit,
                  std::vector<Command>& plan) {
  const std::vector<size_t> wanted = CopiesWanted(state, copies);
  std::vector<Shortage> shortages;
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    const ShardEntry& shard = state.shards[id];
    if (shard.state != ShardState::kActive) continue;
    size_t lasting = LastingCopies(shard, copies);
    if (lasting < wanted[state.RoleOf(id)]) shortages.push_back({lasting, id});
  }
  std::sort(shortages.begin(), shortages.end());  // Those closest to loss first.
  for (const Shortage& shortage : shortages) {
    const ShardEntry& shard = state.shards[shortage.shard];
    CopySet present = Union(shard.isr, shard.learners);
    const size_t missing = wanted[state.RoleOf(shortage.shard)] - shortage.lasting;
    for (CopyId host : ChooseHosts(state, copies, shortage.shard, present, missing)) {
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

// How many primaries of each group each UP node has, with the moves planned so far counted as made.
class Load {
 public:
  Load(const ClusterState& state, const Copies& copies) : state_(state), copies_(copies) {
    for (ShardId id = 0; id < state.shards.size(); ++id) {
      if (copies.IsUp(state.shards[id].primary)) ++Count(id, state.shards[id].primary);
    }
  }

  // Of the shards of that one's group.
  size_t Of(ShardId shard, CopyId copy) const {
    auto found = primaries_.find({state_.RoleOf(shard), copy});
    return found == primaries_.end() ? 0 : found->second;
  }

  // The least loaded of the shard's UP copies in sync, other than its primary, that host most types
  // of the group, and no fewer than `types_min` (P3.16); 0: none.
  CopyId Least(ShardId shard, size_t types_min) const {
    CopyId best = 0;
    auto rank = [&](CopyId copy) {
      return std::pair(-ptrdiff_t(copies_.TypesAt(copy, shard)), Of(shard, copy));
    };
    for (CopyId copy : state_.shards[shard].isr) {
      if (copy == state_.shards[shard].primary || !copies_.IsUp(copy)) continue;
      if (copies_.TypesAt(copy, shard) < types_min) continue;
      if (best == 0 || rank(copy) < rank(best)) best = copy;
    }
    return best;
  }

  void Move(ShardId shard, CopyId to) {
    const CopyId from = state_.shards[shard].primary;
    if (copies_.IsUp(from)) --Count(shard, from);
    ++Count(shard, to);
  }

 private:
  size_t& Count(ShardId shard, CopyId copy) { return primaries_[{state_.RoleOf(shard), copy}]; }

  const ClusterState& state_;
  const Copies& copies_;
  std::map<std::pair<size_t, CopyId>, size_t> primaries_;
};

bool FullyReplicated(const ClusterState& state, const Copies& copies) {
  const std::vector<size_t> wanted = CopiesWanted(state, copies);
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    const ShardEntry& shard = state.shards[id];
    size_t up = std::count_if(shard.isr.begin(), shard.isr.end(),
                              [&](CopyId copy) { return copies.IsUp(copy); });
    if (shard.state != ShardState::kActive || up < wanted[state.RoleOf(id)]) return false;
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
    load.Move(id, to);
    moves.push_back({id, state.shards[id].primary, to});
    moved[id] = true;
  };
  // A node that drains hands over whatever the state of the rest.
  for (ShardId id = 0; id < state.shards.size() && moves.size() < limit; ++id) {
    const ShardEntry& shard = state.shards[id];
    if (shard.primary == 0 || copies.IsUp(shard.primary)) continue;
    if (CopyId to = load.Least(id, 0); to != 0) move(id, to);
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
      CopyId to = load.Least(id, copies.TypesAt(shard.primary, id));
      if (to == 0 || load.Of(id, shard.primary) < load.Of(id, to) + best_gain + 1) continue;
      best = id;
      best_to = to;
      best_gain = load.Of(id, shard.primary) - load.Of(id, to);
    }
    if (best_to == 0) break;
    move(best, best_to);
  }
  return moves;
}

}  // namespace troupe
