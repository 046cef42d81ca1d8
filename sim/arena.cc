// What nemeses may strike, and how they come and go.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/sim/nemesis.h"

namespace troupe::sim {
namespace {

constexpr size_t kRunningMax = 3;
constexpr size_t kSaidMax = 40;
constexpr absl::Duration kLeaveLimit = absl::Seconds(10);
constexpr absl::Duration kFaultMax = absl::Seconds(4);
constexpr absl::Duration kPauseMax = absl::Seconds(2);

}  // namespace

std::vector<std::string> Arena::Living() const {
  std::vector<std::string> living;
  for (const auto& name : cluster.names()) {
    if (cluster.has(name) && !cluster.leaving(name)) living.push_back(name);
  }
  return living;
}

std::string Arena::OneOf(const std::vector<std::string>& names) {
  return names.empty() ? "" : names[random.Below(names.size())];
}

std::string Arena::Victim(SimDiskAfter disk) {
  auto living = Living();
  std::erase_if(living, [&](const std::string& name) { return !MayLose(name, disk); });
  return OneOf(living);
}

absl::Duration Arena::Within(absl::Duration most) {
  return absl::Trunc(most * random.Unit(), absl::Microseconds(1));
}

SharedMap Arena::Map() {
  auto map = cluster.NewestMap();
  if (map && (!seen || map->version > seen->version)) seen = map;
  if (seen) std::erase_if(erased, [&](const auto& name) { return Registered(name, *seen); });
  return seen;
}

// The process that lives there is the one of the map, so the map's voter is it.
bool Arena::Registered(const std::string& name, const ClusterState& map) const {
  const auto* entry = map.FindNode(name);
  return entry != nullptr && cluster.has(name) &&
         cluster.node(name).membership().boot() == entry->boot;
}

// Counts what would be left for ever: memory of processes for shards, disks or memory of voters for
// the register.
bool Arena::MayLose(const std::string& name, SimDiskAfter disk) {
  auto map = Map();
  if (!map) return false;
  auto runs = [&](const std::string& node) {
    return node != name && cluster.has(node) && !cluster.leaving(node);
  };
  auto remembers = [&](const VoterId& voter) {
    if (gone.contains(voter)) return false;
    if (voter.node == name) return KeepsDisk(name, disk);
    if (erased.contains(voter.node)) return false;
    return runs(voter.node) || std::find(cluster.names().begin(), cluster.names().end(),
                                         voter.node) != cluster.names().end();
  };
  // Any node may be of a set of voters that is proposed and accepted by some, and in no map yet;
  // without a majority of that one too nothing goes on (P2.4). So no more lose their votes at a
  // time than any set bears. Seed 88248698287: three that three changes had made voters a moment
  // before.
  auto without = erased;
  without.insert(name);
  const size_t bears = std::max<size_t>(1, (map->voters.size() - 1) / 2);
  if (!KeepsDisk(name, disk) && without.size() > bears) return false;
  for (const auto* voters : {&map->voters, &map->pending}) {
    const auto left = std::count_if(voters->begin(), voters->end(), remembers);
    if (!voters->empty() && static_cast<size_t>(left) * 2 <= voters->size()) return false;
  }
  if (budget == FaultBudget::kBeyond) return true;
  return std::all_of(map->shards.begin(), map->shards.end(), [&](const ShardEntry& shard) {
    auto kept = [&](CopyId copy) {
      const auto* node = map->FindBoot(copy);
      return node != nullptr && runs(node->name) &&
             cluster.node(node->name).membership().boot() == copy;
    };
    size_t left = 0, lost = 0;
    for (const auto* copies : {&shard.isr, &shard.elr}) {
      for (CopyId copy : *copies) kept(copy) ? ++left : ++lost;
    }
    // A change that takes a learner in, and forgets who was in sync before, may be under way too.
    // Seed 3271: the primary died with the learner, and the one that ELR had named did not count.
    for (CopyId copy : shard.learners) lost += kept(copy) ? 0 : 1;
    // A shrink that leaves out a sound copy may be under way, so min_isr is all there is.
    return shard.state == ShardState::kLost ||
           (left > 0 && lost < map->min_isr(static_cast<ShardId>(&shard - map->shards.data())));
  });
}

bool Arena::KeepsDisk(const std::string& name, SimDiskAfter disk) const {
  return disk == SimDiskAfter::kKeep && !torn_disks.contains(name) &&
         !cluster.options().diskless.contains(name);
}

void Arena::NoteLoss(const std::string& name, SimDiskAfter disk) {
  auto map = Map();
  if (cluster.has(name)) last_voters[name] = cluster.node(name).membership().voter();
  if (!map || KeepsDisk(name, disk)) return;
  erased.insert(name);
  // It may become a voter only after its death, though no map has shown it yet: a registration that
  // is under way outlives whoever sent it (seed 82867949109).
  if (auto voter = last_voters.find(name); voter != last_voters.end()) gone.insert(voter->second);
  if (const auto* entry = map->FindNode(name)) {
    gone.insert({name, entry->storage.IsZero() ? entry->nonce : entry->storage});
  }
  for (const auto* voters : {&map->voters, &map->pending}) {
    for (const auto& voter : *voters) {
      if (voter.node == name) gone.insert(voter);
    }
  }
}

void Arena::Kill(const std::string& name, SimDiskAfter disk) {
  NoteLoss(name, disk);
  cluster.Kill(name, disk);
}

// Ends at the latest when the cluster is whole again.
void Arena::Leave(const std::string& name) {
  NoteLoss(name, SimDiskAfter::kKeep);
  cluster.Leave(name, kLeaveLimit);
}

void Arena::PowerOff(const std::string& name, SimDiskAfter disk) {
  NoteLoss(name, disk);
  cluster.PowerOff(name, disk);
}

void Arena::Start(const std::string& name) {
  if (cluster.has(name)) return;
  unreadable.erase(name);
  auto started = cluster.TryRestart(name);
  if (started.ok()) return;
  if (absl::IsUnavailable(started)) {
    unreadable.insert(name);
    return;
  }
  NoteLoss(name, SimDiskAfter::kErase);
  cluster.world().disk(name).Erase();
  cluster.Restart(name);
}

void Arena::DiskIsBack(const std::string& name) {
  if (unreadable.contains(name)) Start(name);
}

// ---- Storm

void Storm::Begin(const Nemesis& nemesis) {
  const absl::Time now = arena_.cluster.world().Now();
  if (said_.size() == kSaidMax) said_.erase(said_.begin());
  said_.push_back(
      absl::StrCat(absl::FormatDuration(now - absl::UnixEpoch()), " ", std::string(nemesis.name)));
  auto end = nemesis.begin(arena_);
  if (end) running_.push_back({std::move(end), now + arena_.Within(kFaultMax)});
}

void Storm::EndThose(absl::Time until) {
  for (size_t i = 0; i < running_.size();) {
    if (running_[i].until > until) {
      ++i;
      continue;
    }
    auto end = std::move(running_[i].end);
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
    end();
  }
}

void Storm::Rage(absl::Duration duration) {
  auto& cluster = arena_.cluster;
  const absl::Time end = cluster.world().Now() + duration;
  while (cluster.world().Now() < end) {
    cluster.Run(std::min(arena_.Within(kPauseMax), end - cluster.world().Now()));
    EndThose(cluster.world().Now());
    if (nemeses_.empty() || running_.size() >= kRunningMax) continue;
    Begin(*nemeses_[arena_.random.Below(nemeses_.size())]);
  }
}

void Storm::Heal() {
  EndThose(absl::InfiniteFuture());
  auto& cluster = arena_.cluster;
  auto& world = cluster.world();
  cluster.Heal();
  for (const auto& name : std::vector(cluster.names())) {
    for (auto fault :
         {SimDiskFault::kFail, SimDiskFault::kFull, SimDiskFault::kStall, SimDiskFault::kTorn}) {
      world.disk(name).Clear(fault);
    }
    if (cluster.paused(name)) cluster.Resume(name);
    if (!cluster.leaving(name)) arena_.Start(name);
  }
  cluster.RunUntil(
      [&] {
        return std::none_of(cluster.names().begin(), cluster.names().end(),
                            [&](const auto& name) { return cluster.leaving(name); });
      },
      kLeaveLimit * 3);
  // Who left without the cluster's knowing is told to come back.
  for (const auto& node : arena_.Map()->nodes) {
    if (node.state != NodeState::kLeft && !cluster.has(node.name)) arena_.Start(node.name);
  }
  arena_.torn_disks.clear();
}

}  // namespace troupe::sim
