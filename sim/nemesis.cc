// The kinds of faults.
#include "troupe/sim/nemesis.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace troupe::sim {
namespace {

constexpr absl::Duration kQuick = absl::Milliseconds(100);  // Well below any detection.
constexpr size_t kNodesMax = 9;
constexpr size_t kNodesMin = 3;  // Below, min_isr falls.

using Names = std::vector<std::string>;

// ---- Ends of processes

Nemesis::End Restarted(Arena& arena, const std::string& name) {
  return [&arena, name] { arena.Start(name); };
}

Nemesis::End KillKeep(Arena& arena) {
  const auto name = arena.Victim(SimDiskAfter::kKeep);
  if (name.empty()) return {};
  arena.Kill(name, SimDiskAfter::kKeep);
  return Restarted(arena, name);
}

Nemesis::End KillErase(Arena& arena) {
  const auto name = arena.Victim(SimDiskAfter::kErase);
  if (name.empty()) return {};
  arena.Kill(name, SimDiskAfter::kErase);
  return Restarted(arena, name);
}

Nemesis::End PowerLoss(Arena& arena) {
  const auto name = arena.Victim(SimDiskAfter::kKeep);
  if (name.empty()) return {};
  arena.PowerOff(name, SimDiskAfter::kKeep);
  return Restarted(arena, name);
}

Nemesis::End FastRestart(Arena& arena) {
  const auto disk = arena.random.Chance(0.5) ? SimDiskAfter::kKeep : SimDiskAfter::kErase;
  const auto name = arena.Victim(disk);
  if (name.empty()) return {};
  arena.Kill(name, disk);
  arena.cluster.Run(arena.Within(kQuick));
  arena.Start(name);
  return {};
}

// Several at once, as far as the budget goes: all on one rack.
Nemesis::End KillMany(Arena& arena) {
  Names killed;
  for (size_t i = 0, most = 1 + arena.random.Below(3); i < most; ++i) {
    const auto disk = arena.random.Chance(0.7) ? SimDiskAfter::kKeep : SimDiskAfter::kErase;
    const auto name = arena.Victim(disk);
    if (name.empty()) break;
    arena.Kill(name, disk);
    killed.push_back(name);
  }
  return [&arena, killed] {
    for (const auto& name : killed) arena.Start(name);
  };
}

// ---- Pauses

Nemesis::End PauseOne(Arena& arena, SimPause what) {
  auto living = arena.Living();
  std::erase_if(living, [&](const auto& name) { return arena.cluster.paused(name); });
  const auto name = arena.OneOf(living);
  if (name.empty()) return {};
  arena.cluster.Pause(name, what);
  return [&arena, name] {
    if (arena.cluster.paused(name)) arena.cluster.Resume(name);
  };
}

Nemesis::End PauseProcess(Arena& arena) { return PauseOne(arena, SimPause::kProcess); }
Nemesis::End PauseComputer(Arena& arena) { return PauseOne(arena, SimPause::kComputer); }

// ---- Partitions

using Pairs = std::vector<std::pair<std::string, std::string>>;

Nemesis::End CutPairs(Arena& arena, Pairs pairs) {
  for (const auto& [a, b] : pairs) arena.cluster.Cut(a, b);
  return [&arena, pairs] {
    for (const auto& [a, b] : pairs) arena.cluster.world().Heal(a, b);
  };
}

Names Shuffled(Arena& arena) {
  Names names = arena.cluster.names();
  arena.random.Shuffle(names);
  return names;
}

Nemesis::End Split(Arena& arena) {
  auto names = Shuffled(arena);
  const size_t here = 1 + arena.random.Below(names.size() - 1);
  // Each client sees one side, or both.
  std::vector<Names> sides = {Names(names.begin(), names.begin() + static_cast<ptrdiff_t>(here)),
                              Names(names.begin() + static_cast<ptrdiff_t>(here), names.end())};
  for (const auto& client : arena.cluster.client_names()) {
    if (auto side = arena.random.Below(3); side < 2) sides[side].push_back(client);
  }
  Pairs pairs;
  for (const auto& a : sides[0]) {
    for (const auto& b : sides[1]) pairs.emplace_back(a, b);
  }
  return CutPairs(arena, pairs);
}

Nemesis::End OneWay(Arena& arena) {
  auto names = Shuffled(arena);
  Names to = arena.random.Chance(0.5) ? Names{names[1]} : Names(names.begin() + 1, names.end());
  for (const auto& other : to) {
    if (arena.random.Chance(0.5)) {
      arena.cluster.world().CutOneWay(names[0], other);
    } else {
      arena.cluster.world().CutOneWay(other, names[0]);
    }
  }
  return [&arena, from = names[0], to] {
    for (const auto& other : to) arena.cluster.world().Heal(from, other);
  };
}

// Two halves that only one node, in both, connects.
Nemesis::End Bridge(Arena& arena) {
  auto names = Shuffled(arena);
  const size_t half = (names.size() - 1) / 2;
  Pairs pairs;
  for (size_t i = 0; i < half; ++i) {
    for (size_t j = half; j + 1 < names.size(); ++j) pairs.emplace_back(names[i], names[j]);
  }
  return CutPairs(arena, pairs);
}

// Each sees only its neighbours.
Nemesis::End Ring(Arena& arena) {
  auto names = Shuffled(arena);
  Pairs pairs;
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = i + 2; j < names.size(); ++j) {
      if (i != 0 || j + 1 != names.size()) pairs.emplace_back(names[i], names[j]);
    }
  }
  return CutPairs(arena, pairs);
}

Nemesis::End CutClient(Arena& arena) {
  const auto client = arena.OneOf(arena.cluster.client_names());
  if (client.empty()) return {};
  Pairs pairs;
  for (const auto& name : arena.cluster.names()) pairs.emplace_back(client, name);
  return CutPairs(arena, pairs);
}

// A primary with its clients apart from the other nodes: where an old lease would show.
Nemesis::End CutPrimary(Arena& arena) {
  auto map = arena.cluster.NewestMap();
  if (!map || map->shards.empty()) return {};
  const auto* node = map->FindBoot(map->shards[arena.random.Below(map->shards.size())].primary);
  if (node == nullptr) return {};
  Pairs pairs;
  for (const auto& name : arena.cluster.names()) {
    if (name != node->name) pairs.emplace_back(node->name, name);
  }
  return CutPairs(arena, pairs);
}

// ---- Bad links

Nemesis::End Clog(Arena& arena) {
  const SimLink slow{absl::Milliseconds(100), absl::Milliseconds(900)};
  Pairs pairs;
  auto names = Shuffled(arena);
  for (size_t i = 1; i < names.size(); ++i) pairs.emplace_back(names[0], names[i]);
  for (const auto& [a, b] : pairs) arena.cluster.world().SetLink(a, b, slow);
  return [&arena, pairs] {
    for (const auto& [a, b] : pairs) arena.cluster.world().ClearLink(a, b);
  };
}

// Links clog one by one, and clear one by one in another order.
Nemesis::End Swizzle(Arena& arena) {
  const SimLink slow{absl::Milliseconds(300), absl::Seconds(1)};
  auto& cluster = arena.cluster;
  Pairs pairs;
  for (const auto& a : cluster.names()) {
    for (const auto& b : cluster.names()) {
      if (a < b && arena.random.Chance(0.5)) pairs.emplace_back(a, b);
    }
  }
  arena.random.Shuffle(pairs);
  for (const auto& [a, b] : pairs) {
    cluster.world().SetLink(a, b, slow);
    cluster.Run(arena.Within(absl::Milliseconds(300)));
  }
  arena.random.Shuffle(pairs);
  for (const auto& [a, b] : pairs) {
    cluster.world().ClearLink(a, b);
    cluster.Run(arena.Within(absl::Milliseconds(300)));
  }
  return {};
}

Nemesis::End ForAll(Arena& arena, double SimLink::*share, double most) {
  arena.link.*share = most * arena.random.Unit();
  arena.cluster.world().SetDefaultLink(arena.link);
  return [&arena, share] {
    arena.link.*share = 0;
    arena.cluster.world().SetDefaultLink(arena.link);
  };
}
Nemesis::End Loss(Arena& arena) { return ForAll(arena, &SimLink::loss, 0.3); }
Nemesis::End Duplicate(Arena& arena) { return ForAll(arena, &SimLink::duplicate, 0.3); }
Nemesis::End Reorder(Arena& arena) { return ForAll(arena, &SimLink::reorder, 0.5); }

// A box in between breaks what is connected, or answers dials for the node behind it.
Nemesis::End FalseReset(Arena& arena) {
  auto names = Shuffled(arena);
  auto others = arena.random.Chance(0.3) ? arena.cluster.client_names() : names;
  for (const auto& other : others) {
    if (other != names[0]) arena.cluster.world().ResetConnections(names[0], other);
  }
  return {};
}

Nemesis::End FalseRefusal(Arena& arena) {
  auto& world = arena.cluster.world();
  auto names = Shuffled(arena);
  for (size_t i = 1; i < names.size(); ++i) {
    world.Refuse(names[i], names[0]);
    if (arena.random.Chance(0.5)) world.ResetConnections(names[i], names[0]);
  }
  return [&world, names] {
    for (size_t i = 1; i < names.size(); ++i) world.Allow(names[i], names[0]);
  };
}

// ---- Clocks and disks

Nemesis::End Drift(Arena& arena) {
  for (const auto& name : arena.Living()) {
    arena.cluster.world().SetClockRate(name, 0.95 + 0.1 * arena.random.Unit());
  }
  return [&arena] {
    for (const auto& name : arena.Living()) arena.cluster.world().SetClockRate(name, 1);
  };
}

Nemesis::End BadDisk(Arena& arena, SimDiskFault fault) {
  const auto name = arena.OneOf(arena.Living());
  if (name.empty()) return {};
  arena.cluster.world().disk(name).Set(fault);
  return [&arena, name, fault] {
    arena.cluster.world().disk(name).Clear(fault);
    arena.DiskIsBack(name);
  };
}
Nemesis::End DiskError(Arena& arena) { return BadDisk(arena, SimDiskFault::kFail); }
Nemesis::End DiskFull(Arena& arena) { return BadDisk(arena, SimDiskFault::kFull); }
Nemesis::End DiskStall(Arena& arena) { return BadDisk(arena, SimDiskFault::kStall); }

// A crash in the middle of writes, which may leave a damaged record.
Nemesis::End TornWrite(Arena& arena) {
  const auto name = arena.Victim(SimDiskAfter::kErase);
  if (name.empty() || arena.cluster.options().diskless.contains(name)) return {};
  auto& disk = arena.cluster.world().disk(name);
  arena.torn_disks.insert(name);
  disk.Set(SimDiskFault::kTorn);
  arena.cluster.Run(arena.Within(absl::Seconds(1)));
  // The budget may be smaller by now.
  if (arena.cluster.has(name) && !arena.cluster.leaving(name) &&
      arena.MayLose(name, SimDiskAfter::kErase)) {
    arena.Kill(name, SimDiskAfter::kKeep);
  }
  disk.Clear(SimDiskFault::kTorn);
  arena.torn_disks.erase(name);
  return Restarted(arena, name);
}

// ---- What operators do

Nemesis::End Join(Arena& arena) {
  if (arena.cluster.names().size() >= kNodesMax) return {};
  arena.cluster.Add(absl::StrCat("joined", ++arena.joined));
  return {};
}

std::string BeginToLeave(Arena& arena) {
  if (arena.Living().size() <= kNodesMin) return "";
  auto living = arena.Living();
  std::erase_if(living, [&](const auto& name) {
    return arena.cluster.paused(name) || !arena.MayLose(name, SimDiskAfter::kErase);
  });
  const auto name = arena.OneOf(living);
  if (!name.empty()) arena.Leave(name);
  return name;
}

Nemesis::End LeaveForGood(Arena& arena) {
  BeginToLeave(arena);
  return {};
}

// It comes back once it has left.
Nemesis::End Drain(Arena& arena) {
  const auto name = BeginToLeave(arena);
  if (name.empty()) return {};
  return [&arena, name] {
    arena.cluster.RunUntil([&] { return !arena.cluster.has(name); }, absl::Seconds(15));
    arena.Start(name);
  };
}

Nemesis::End RollingRestart(Arena& arena) {
  auto& cluster = arena.cluster;
  for (const auto& name : arena.Living()) {
    if (!cluster.has(name) || cluster.paused(name) || cluster.leaving(name)) continue;
    if (!arena.MayLose(name, SimDiskAfter::kKeep)) continue;
    arena.Leave(name);
    cluster.RunUntil([&] { return !cluster.has(name); }, absl::Seconds(15));
    arena.Start(name);
    if (!cluster.Settle(absl::Seconds(10))) break;  // As whoever does it by hand would.
  }
  return {};
}

}  // namespace

const std::vector<Nemesis>& AllNemeses() {
  static const std::vector<Nemesis> all = {
      {"kill", "a process dies and comes back with its disk", KillKeep},
      {"kill-erase", "a process dies and comes back without its disk", KillErase},
      {"power", "a computer loses power: nobody is told", PowerLoss},
      {"fast-restart", "a process comes back before anyone notices", FastRestart},
      {"kill-many", "several processes die at once", KillMany},
      {"pause", "a process stands still, its kernel goes on", PauseProcess},
      {"freeze", "a computer stands still", PauseComputer},
      {"split", "the network falls into two parts", Split},
      {"one-way", "packets from one to another are lost, not those back", OneWay},
      {"bridge", "two parts that one node connects", Bridge},
      {"ring", "each node reaches only its neighbours", Ring},
      {"cut-client", "one client reaches nobody", CutClient},
      {"cut-primary", "a primary reaches its clients and no other node", CutPrimary},
      {"clog", "all links of a node are slow", Clog},
      {"swizzle", "links clog one by one and clear in another order", Swizzle},
      {"loss", "packets are lost", Loss},
      {"duplicate", "datagrams come twice", Duplicate},
      {"reorder", "datagrams overtake each other", Reorder},
      {"reset", "a box between nodes breaks their connections", FalseReset},
      {"refuse", "a box refuses dials to a node that lives", FalseRefusal},
      {"drift", "clocks run up to 5 % fast or slow", Drift},
      {"disk-error", "writes to a disk fail", DiskError},
      {"disk-full", "a disk is full", DiskFull},
      {"disk-stall", "a disk makes no progress", DiskStall},
      {"torn-write", "a crash may leave half of a record", TornWrite},
      {"join", "a new node joins", Join},
      {"leave", "a node leaves in order, for good", LeaveForGood},
      {"drain", "a node leaves in order and comes back", Drain},
      {"rolling-restart", "all nodes leave and come back, one by one", RollingRestart},
  };
  return all;
}

const Nemesis* FindNemesis(std::string_view name) {
  for (const auto& nemesis : AllNemeses()) {
    if (nemesis.name == name) return &nemesis;
  }
  return nullptr;
}

std::vector<const Nemesis*> DrawNemeses(Random& random) {
  std::vector<const Nemesis*> drawn;
  for (const auto& nemesis : AllNemeses()) {
    if (random.Chance(0.5)) drawn.push_back(&nemesis);
  }
  return drawn;
}

}  // namespace troupe::sim
