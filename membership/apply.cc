// Apply: what each command changes, before the consequences that shard_rules.h draws.
#include <algorithm>
#include <utility>

#include "troupe/membership/apply_change.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace apply {

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

}  // namespace apply

absl::StatusOr<Applied> Apply(const ClusterState& state, const Command& command,
                              const MembershipMutations& mutations) {
  if (state.version == 0) return apply::Refused("there is no value yet to apply a command to");
  if (state.format > kClusterFormat) {
    return apply::Refused("the value has format ", state.format, ", this program knows ",
                          kClusterFormat);
  }
  Applied applied{state, false};
  apply::Change change(state, applied.state, mutations);
  apply::Result outcome = std::visit(change, command);
  if (!outcome.ok()) return outcome.status();
  if (*outcome == apply::Outcome::kAlreadySo) return applied;
  Settle(state, applied.state, change.no_wait(), mutations);
  RaiseMinIsr(applied.state);
  applied.state.version = state.version + 1;
  applied.changed = true;
  return applied;
}

}  // namespace troupe
