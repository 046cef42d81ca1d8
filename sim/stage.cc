// What prefixes and random faults are made of.
#include <algorithm>

#include "troupe/membership/placement.h"
#include "troupe/sim/prefixes.h"

namespace troupe::sim {

void Stage::Run(absl::Duration most) {
  const auto time = most * random.Unit();
  cluster.RunUntil([this] { return over(); }, time);
}

bool Stage::Until(std::function<bool()> done, absl::Duration limit) {
  cluster.RunUntil([&] { return over() || done(); }, limit);
  return !over() && done();
}

std::string Stage::Anyone() { return cluster.names()[random.Below(cluster.names().size())]; }

std::string Stage::AnyLedger() {
  const auto& books = ledgers.books();
  auto at = books.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random.Below(books.size())));
  return at->first;
}

std::string Stage::AnyPrimary() { return cluster.PrimaryOf(Ledgers::IdOf(AnyLedger())); }

std::vector<std::string> Stage::Others(const std::string& name) {
  std::vector<std::string> out;
  for (const auto& other : cluster.names()) {
    if (other != name && cluster.has(other)) out.push_back(other);
  }
  random.Shuffle(out);
  return out;
}

void Stage::CutOff(const std::string& name, const std::vector<std::string>& with) {
  std::vector<std::string> all = cluster.names();
  all.insert(all.end(), clients.begin(), clients.end());
  all.push_back(reader);
  const auto inside = [&](const std::string& machine) {
    return machine == name || std::find(with.begin(), with.end(), machine) != with.end();
  };
  for (const auto& a : all) {
    for (const auto& b : all) {
      if (inside(a) && !inside(b)) cluster.world().Cut(a, b);
    }
  }
}

void Stage::Part(const std::vector<std::string>& one, const std::vector<std::string>& other) {
  for (const auto& a : one) {
    for (const auto& b : other) cluster.world().Cut(a, b);
  }
}

bool Stage::Leads(const std::string& name) const {
  auto map = cluster.NewestMap();
  const Boot boot = cluster.has(name) ? cluster.node(name).membership().boot() : 0;
  return map && std::any_of(map->shards.begin(), map->shards.end(),
                            [&](const ShardEntry& shard) { return shard.primary == boot; });
}

bool Stage::IsIn(const std::string& name, CopySet ShardEntry::*set) const {
  auto map = cluster.NewestMap();
  const Boot boot = cluster.has(name) ? cluster.node(name).membership().boot() : 0;
  return map && boot != 0 &&
         std::any_of(map->shards.begin(), map->shards.end(), [&](const ShardEntry& shard) {
           const CopySet& copies = shard.*set;
           return std::count(copies.begin(), copies.end(), boot) > 0;
         });
}

bool Stage::IsInSync(const std::string& name) const { return IsIn(name, &ShardEntry::isr); }

std::string Stage::LeaderOf(const std::string& ledger) const {
  return cluster.PrimaryOf(Ledgers::IdOf(ledger));
}

bool Stage::AnotherLeads(const std::string& ledger, const std::string& than) const {
  const std::string leader = LeaderOf(ledger);
  return !leader.empty() && leader != than;
}

uint64_t Stage::MapVersion() const {
  auto map = cluster.NewestMap();
  return map ? map->version : 0;
}

void Stage::StrikeOut(const std::string& name, const std::vector<std::string>& with) {
  auto& world = cluster.world();
  if (random.Chance(0.5)) {
    for (const auto& other : Others(name)) {
      world.Refuse(other, name);
      world.ResetConnections(other, name);
    }
    Run(absl::Milliseconds(12));
    for (const auto& other : Others(name)) world.Allow(other, name);
  }
  CutOff(name, with);
}

// Every shard keeps a copy that holds what was answered, and the register a majority that
// remembers: what is lost beyond that no protocol brings back.
bool Stage::MayLose(const std::string& name) const {
  SharedMap map = cluster.NewestMap();
  if (!map || !cluster.has(name)) return false;
  for (const ShardEntry& shard : map->shards) {
    const auto remains = [&](CopyId copy) {
      const NodeEntry* node = map->FindBoot(copy);
      return node != nullptr && node->name != name && cluster.has(node->name) &&
             cluster.node(node->name).membership().boot() == copy;
    };
    if (std::none_of(shard.isr.begin(), shard.isr.end(), remains)) return false;
  }
  return true;
}

// A voter whose process and disk are what they were when it became one.
bool Stage::Remembers(const ClusterState& map, const VoterId& voter) const {
  const NodeEntry* entry = map.FindNode(voter.node);
  if (entry == nullptr || VoterOf(*entry) != voter) return false;
  if (!cluster.has(voter.node)) return kept.contains(voter.node);
  return cluster.node(voter.node).membership().boot() == entry->boot;
}

void Stage::Kill(const std::string& name, SimDiskAfter disk) {
  if (!MayLose(name)) return;
  const SharedMap map = cluster.NewestMap();
  // A disk that is kept comes back with its vote.
  const bool forgets = disk == SimDiskAfter::kErase || cluster.options().diskless.contains(name);
  for (const auto* voters : {&map->voters, &map->pending}) {
    if (voters->empty() || !forgets) continue;
    const auto left = std::count_if(voters->begin(), voters->end(), [&](const VoterId& voter) {
      return voter.node != name && Remembers(*map, voter);
    });
    if (2 * static_cast<size_t>(left) <= voters->size()) return;
  }
  // One that came back empty has no vote to keep.
  const NodeEntry* entry = map->FindNode(name);
  if (!forgets && entry != nullptr && Remembers(*map, VoterOf(*entry))) {
    kept.insert(name);
  } else {
    kept.erase(name);
  }
  if (random.Chance(0.2)) {
    cluster.PowerOff(name, disk);
  } else {
    cluster.Kill(name, disk);
  }
}

void Stage::StartAll() {
  for (const auto& name : cluster.names()) {
    if (!cluster.has(name)) cluster.Restart(name);
  }
}

void Stage::HealAll() {
  cluster.Heal();
  for (const auto& name : cluster.names()) {
    if (cluster.paused(name)) cluster.Resume(name);
    auto& disk = cluster.world().disk(name);
    disk.Clear(SimDiskFault::kStall);
  }
  StartAll();
}

void Stage::Strike() {
  const std::string primary = AnyPrimary();
  const std::string victim = primary.empty() || random.Chance(0.4) ? Anyone() : primary;
  auto& world = cluster.world();
  const auto others = Others(victim);
  if (!cluster.has(victim) || others.empty()) return StartAll();
  switch (random.Below(11)) {
    case 0:
      return Kill(victim, SimDiskAfter::kErase);
    case 1:
      return Kill(victim, SimDiskAfter::kKeep);
    case 2:
      Kill(victim, AnyDisk());
      return StartAll();
    case 3:
      return cluster.Pause(victim, random.Chance(0.7) ? SimPause::kProcess : SimPause::kComputer);
    case 4:
      return CutOff(victim, {});
    case 5:
      return CutOff(victim, {AnyClient()});
    case 6:
      return world.Cut(victim, others[0]);
    case 7:
      return world.CutOneWay(victim, others[0]);
    case 8:
      return world.CutOneWay(others[0], victim);
    case 9:
      for (const auto& other : others) world.ResetConnections(victim, other);
      return world.ResetConnections(victim, AnyClient());
    case 10:
      // As much of the cluster as there is on either side of a bridge.
      for (size_t i = 1; i < others.size(); ++i) world.Cut(victim, others[i]);
      return;
  }
}

}  // namespace troupe::sim
