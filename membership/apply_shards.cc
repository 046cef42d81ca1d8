// Apply, of commands about shards: their copies, their primaries, and what is lost.
#include <utility>

#include "troupe/membership/apply_change.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe::apply {

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
  const Copies copies(before_);
  if (!copies.IsUp(c.copy)) return Refused("copy ", c.copy, " is on no UP node");
  if (copies.TypesAt(c.copy, c.shard) == 0) {
    return Refused("node ", copies.Node(c.copy)->name, " hosts no types of role ",
                   Describe(before_.roles[before_.RoleOf(c.shard)]), ": it takes no copy of shard ",
                   c.shard);
  }
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
  if (host.empty())
    return Refused("there is no UP node that hosts types of role ",
                   Describe(before_.roles[before_.RoleOf(c.shard)]), " to hold shard ", c.shard);
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

}  // namespace troupe::apply
