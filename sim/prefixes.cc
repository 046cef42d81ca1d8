#include "troupe/sim/prefixes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace troupe::sim {
namespace {

constexpr auto kMoment = absl::Milliseconds(40);
constexpr auto kDetection = absl::Seconds(6);

bool Leads(Cluster& cluster, const std::string& name) {
  auto map = cluster.NewestMap();
  const Boot boot = cluster.has(name) ? cluster.node(name).membership().boot() : 0;
  return map && std::any_of(map->shards.begin(), map->shards.end(),
                            [&](const ShardEntry& shard) { return shard.primary == boot; });
}

// Who leads that ledger's shard now.
std::string LeaderOf(Stage& s, const std::string& ledger) {
  return s.cluster.PrimaryOf(Ledgers::IdOf(ledger));
}

// A box resets what is connected to it and refuses dials, so that it is fenced at once, while its
// leases hold; then it reaches only `with`.
void StrikeOut(Stage& s, const std::string& name, const std::vector<std::string>& with) {
  auto& world = s.cluster.world();
  if (s.random.Chance(0.5)) {
    for (const auto& other : s.Others(name)) {
      world.Refuse(other, name);
      world.ResetConnections(other, name);
    }
    s.Run(absl::Milliseconds(12));
    for (const auto& other : s.Others(name)) world.Allow(other, name);
  }
  s.CutOff(name, with);
}

// Leases are granted; the primary is cut off with a client that goes on reading, and sometimes with
// another node; another leads, and, perhaps, is struck before it serves for long.
void Isolate(Stage& s, bool twice) {
  const std::string ledger = s.AnyLedger();
  const std::string primary = LeaderOf(s, ledger);
  if (primary.empty()) return;
  const auto others = s.Others(primary);
  if (s.random.Chance(0.2)) {
    const auto slow = absl::Milliseconds(20 + 60 * s.random.Unit());
    for (const auto& other : others) s.cluster.world().SetLink(primary, other, {slow, slow * 1.5});
    s.cluster.Run(absl::Seconds(1));
  }
  std::vector<std::string> with = {s.random.Chance(0.7) ? s.reader : s.AnyClient()};
  if (others.size() > 2 && s.random.Chance(0.4)) with.push_back(others[0]);
  StrikeOut(s, primary, with);
  for (const auto& other : others) s.cluster.world().ClearLink(primary, other);
  const auto another = [&](const std::string& than) {
    const auto leader = LeaderOf(s, ledger);
    return !leader.empty() && leader != than;
  };
  if (!s.Until([&] { return another(primary); }, kDetection)) return;
  s.Run(absl::Milliseconds(300));
  if (!twice) return s.Run(absl::Seconds(3));
  const std::string second = LeaderOf(s, ledger);
  if (second.empty() || second == primary) return;
  if (s.random.Chance(0.6)) {
    // Its next run is proof that it is dead, and of that alone.
    s.Kill(second, s.random.Chance(0.7) ? SimDiskAfter::kKeep : SimDiskAfter::kErase);
    if (s.random.Chance(0.85)) s.StartAll();
  } else {
    if (s.random.Chance(0.6)) {
      s.cluster.Heal();
      s.Run(absl::Seconds(3));
    }
    StrikeOut(s, second,
              s.random.Chance(0.3) ? std::vector<std::string>{}
                                   : std::vector<std::string>{s.AnyClient()});
  }
  s.Until([&] { return another(second); }, kDetection);
  s.Run(absl::Seconds(3));
}
void IsolateOnce(Stage& s) { Isolate(s, false); }
void IsolateTwice(Stage& s) { Isolate(s, true); }

// The others come back empty, and the primary, which alone has all, is cut off before they have
// caught up.
void LastCopy(Stage& s) {
  const std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  const auto others = s.Others(primary);
  const bool slow = s.random.Chance(0.5);
  for (const auto& other : others) {
    if (slow)
      s.cluster.world().SetLink(primary, other, {absl::Milliseconds(20), absl::Seconds(0.1)});
  }
  for (const auto& other : others) s.Kill(other, SimDiskAfter::kKeep);
  if (s.random.Chance(0.5)) s.Run(absl::Seconds(1));
  s.StartAll();
  const auto alone = [&] {
    auto map = s.cluster.NewestMap();
    return map && std::any_of(map->shards.begin(), map->shards.end(),
                              [](const ShardEntry& e) { return e.isr.size() == 1; });
  };
  s.Until(alone, kDetection);
  if (s.random.Chance(0.5)) s.Run(absl::Milliseconds(200));
  StrikeOut(s, primary, {s.AnyClient()});
  for (const auto& other : others) s.cluster.world().ClearLink(primary, other);
  s.Until([&] { return !Leads(s.cluster, primary); }, kDetection);
  s.Run(absl::Seconds(2));
}

// Connections break in mid-stream, again and again, under many writes: what follows a lost frame
// comes before it.
void TornStreams(Stage& s) {
  auto& world = s.cluster.world();
  const auto slow = absl::Milliseconds(2 + 30 * s.random.Unit());
  for (const auto& a : s.cluster.names()) {
    for (const auto& b : s.cluster.names()) {
      if (a < b) world.SetLink(a, b, {slow * 0.2, slow});
    }
  }
  for (int i = 0; i < 8 && !s.over(); ++i) {
    s.ledgers.Everyone();
    s.Run(slow * 2);
    const std::string primary = s.AnyPrimary();
    if (primary.empty()) continue;
    for (const auto& other : s.Others(primary)) {
      if (s.random.Chance(0.6)) world.ResetConnections(primary, other);
    }
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(200));
  }
  const std::string primary = s.AnyPrimary();
  if (!primary.empty() && s.random.Chance(0.5)) s.Kill(primary, s.AnyDisk());
  for (const auto& a : s.cluster.names()) {
    for (const auto& b : s.cluster.names()) {
      if (a < b) world.ClearLink(a, b);
    }
  }
  s.Run(absl::Seconds(1));
}

// Primaries are handed over while who hands over hears of it late.
void SlowHandoff(Stage& s) {
  auto& world = s.cluster.world();
  const std::string back = s.AnyPrimary();
  if (back.empty()) return;
  s.Kill(back, s.AnyDisk());
  if (!s.Until([&] { return !Leads(s.cluster, back); }, kDetection)) return;
  s.StartAll();
  const std::string primary = s.AnyPrimary();
  if (primary.empty() || primary == back) return;
  const auto slow = absl::Milliseconds(10 + 60 * s.random.Unit());
  for (const auto& other : s.Others(primary)) world.SetLink(primary, other, {slow, slow * 1.2});
  const std::string client = s.AnyClient();
  for (const auto& other : s.Others(primary)) world.Cut(client, other);
  s.Until([&] { return Leads(s.cluster, back); }, kDetection * 2);
  s.Run(absl::Seconds(3));
  for (const auto& other : s.Others(primary)) world.ClearLink(primary, other);
}

// The primary is stopped while its leases hold, and wakes up amid another's reign.
void SleepingPrimary(Stage& s) {
  const std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  s.cluster.Pause(primary, s.random.Chance(0.5) ? SimPause::kProcess : SimPause::kComputer);
  if (s.random.Chance(0.3)) {
    s.Run(absl::Milliseconds(600));
  } else {
    s.Until([&] { return !Leads(s.cluster, primary); }, kDetection);
    s.Run(absl::Milliseconds(400));
  }
  s.cluster.Resume(primary);
  s.Run(absl::Seconds(1));
}

// A copy that catches up is added; as soon as it counts, those who had all are struck.
void LearnerNear(Stage& s) {
  const std::string victim = s.Anyone();
  s.Kill(victim, SimDiskAfter::kErase);
  if (s.cluster.has(victim)) return;
  if (s.random.Chance(0.7)) s.Run(absl::Seconds(2));
  s.cluster.Restart(victim);
  const auto joins = [&] {
    const Boot boot = s.cluster.node(victim).membership().boot();
    auto map = s.cluster.NewestMap();
    return boot != 0 && map &&
           std::any_of(map->shards.begin(), map->shards.end(), [&](const ShardEntry& shard) {
             return std::count(shard.isr.begin(), shard.isr.end(), boot) > 0;
           });
  };
  const auto learns = [&] {
    const Boot boot = s.cluster.node(victim).membership().boot();
    auto map = s.cluster.NewestMap();
    return boot != 0 && map &&
           std::any_of(map->shards.begin(), map->shards.end(), [&](const ShardEntry& shard) {
             return std::count(shard.learners.begin(), shard.learners.end(), boot) > 0;
           });
  };
  if (s.random.Chance(0.5)) {
    if (!s.Until(learns, kDetection)) return;
    const std::string primary = s.AnyPrimary();
    if (!primary.empty() && primary != victim && s.random.Chance(0.5)) {
      s.cluster.world().CutOneWay(primary, victim);
      s.Run(absl::Milliseconds(200));
      s.cluster.Heal();
    }
  }
  if (!s.Until(joins, kDetection)) return;
  s.Run(kMoment);
  for (int i = 0; i < 2; ++i) {
    for (const auto& other : s.Others(victim)) {
      if (s.random.Chance(0.6)) s.Kill(other, s.AnyDisk());
    }
    s.Run(absl::Seconds(2));
  }
}

// A handoff is under way when its parties are struck or cannot hear each other.
void Handoff(Stage& s) {
  std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  if (s.random.Chance(0.5)) {
    // Who comes back gets primaries handed over.
    s.Kill(primary, s.AnyDisk());
    s.Run(absl::Seconds(1));
    s.StartAll();
    if (!s.Until([&] { return Leads(s.cluster, primary); }, kDetection)) return;
    s.Run(kMoment);
    primary = s.AnyPrimary();
  } else if (s.cluster.names().size() > 3 && !s.cluster.leaving(primary)) {
    s.cluster.Leave(primary, absl::Seconds(3));
    s.Run(kMoment);
  }
  if (primary.empty() || !s.cluster.has(primary)) return;
  switch (s.random.Below(4)) {
    case 0:
      s.CutOff(primary, {s.AnyClient()});
      break;
    case 1:
      for (const auto& other : s.Others(primary)) s.cluster.world().CutOneWay(other, primary);
      break;
    case 2:
      s.cluster.Pause(primary);
      break;
    case 3:
      s.Kill(primary, s.AnyDisk());
      break;
  }
  s.Run(absl::Seconds(2));
}

// One backup hears nothing for a while and the other gets further; then the primary is gone.
void BatchesAhead(Stage& s) {
  const std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  auto others = s.Others(primary);
  s.cluster.world().CutOneWay(primary, others[0]);
  if (s.random.Chance(0.3)) s.cluster.world().CutOneWay(others[0], primary);
  s.Run(absl::Milliseconds(350));
  if (s.random.Chance(0.5)) {
    s.Kill(primary, s.AnyDisk());
  } else {
    s.CutOff(primary, {s.AnyClient()});
  }
  s.Run(kMoment);
  s.cluster.world().Heal(primary, others[0]);
  s.Until([&] { return !Leads(s.cluster, primary); }, kDetection);
  s.Run(absl::Milliseconds(300));
  if (s.random.Chance(0.5)) {
    const std::string second = s.AnyPrimary();
    s.cluster.Heal();
    s.StartAll();
    s.Run(absl::Seconds(1));
    if (!second.empty()) s.Kill(second, s.AnyDisk());
  }
  s.Run(absl::Seconds(1));
}

// The in-sync set shrinks to the primary and grows again, with deaths in between.
void Shrink(Stage& s) {
  const std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  auto others = s.Others(primary);
  for (const auto& other : others) {
    // Its register goes on by whoever is left over; batches are lost first.
    if (s.random.Chance(0.8)) s.cluster.world().CutOneWay(primary, other);
    if (s.random.Chance(0.3)) s.cluster.Pause(other);
  }
  const auto shrunk = [&] {
    auto map = s.cluster.NewestMap();
    return map && std::any_of(map->shards.begin(), map->shards.end(), [](const ShardEntry& e) {
             return e.isr.size() < 2 || !e.elr.empty();
           });
  };
  s.Until(shrunk, absl::Seconds(3));
  s.Run(kMoment);
  if (s.random.Chance(0.5)) s.Kill(primary, s.AnyDisk());
  if (s.random.Chance(0.5)) s.CutOff(primary, {s.AnyClient()});
  for (const auto& other : others) {
    if (s.cluster.paused(other)) s.cluster.Resume(other);
    if (s.random.Chance(0.7)) s.cluster.world().Heal(primary, other);
  }
  s.Run(absl::Seconds(2));
}

// Back before anybody has noticed, empty.
void FastRestart(Stage& s) {
  for (int i = 0; i < 3; ++i) {
    const std::string victim = s.random.Chance(0.6) ? s.AnyPrimary() : s.Anyone();
    if (victim.empty() || !s.cluster.has(victim)) continue;
    s.Kill(victim, s.AnyDisk());
    s.Run(kMoment);
    s.StartAll();
    s.Run(absl::Milliseconds(900));
  }
}

// Fenced though alive, and back, again and again.
void WrongVerdicts(Stage& s) {
  const std::string victim = s.random.Chance(0.6) ? s.AnyPrimary() : s.Anyone();
  if (victim.empty()) return;
  for (int i = 0; i < 3 && !s.over(); ++i) {
    s.CutOff(victim, s.random.Chance(0.5) ? std::vector<std::string>{s.AnyClient()}
                                          : std::vector<std::string>{});
    s.Run(absl::Seconds(4));
    s.cluster.Heal();
    s.Run(absl::Seconds(3));
  }
}

// Voters change, die, and come back with their disks, while the network falls in two.
void Voters(Stage& s) {
  const auto pending = [&] {
    auto map = s.cluster.NewestMap();
    return map && !map->pending.empty();
  };
  if (s.random.Chance(0.5) && s.cluster.names().size() < 6) {
    for (int i = 0; i < 2; ++i) {
      const std::string name = absl::StrCat("x", s.cluster.names().size());
      if (!s.cluster.has(name)) s.cluster.Add(name);
    }
  } else {
    s.Kill(s.Anyone(), SimDiskAfter::kErase);
    if (s.random.Chance(0.5)) s.StartAll();
  }
  for (int i = 0; i < 4 && !s.over(); ++i) {
    s.Until(pending, absl::Seconds(3));
    s.Run(absl::Milliseconds(15));
    auto nodes = s.cluster.names();
    s.random.Shuffle(nodes);
    const size_t half = 1 + s.random.Below(nodes.size() - 1);
    for (size_t a = 0; a < half; ++a) {
      for (size_t b = half; b < nodes.size(); ++b) {
        if (s.random.Chance(0.8)) s.cluster.world().Cut(nodes[a], nodes[b]);
      }
    }
    if (s.random.Chance(0.5)) s.Kill(nodes[0], SimDiskAfter::kKeep);
    s.Run(absl::Milliseconds(1500));
    s.StartAll();
    s.cluster.Heal();
    s.Run(absl::Milliseconds(500));
  }
}

// Most voters lose power while the map changes; the rest does not hear them when they are back.
void PowerLoss(Stage& s) {
  const auto version = [&] {
    auto map = s.cluster.NewestMap();
    return map ? map->version : 0;
  };
  const std::string survivor = s.Anyone();
  for (int i = 0; i < 3 && !s.over(); ++i) {
    const uint64_t before = version();
    const std::string victim = s.Others(survivor)[0];
    if (s.random.Chance(0.5)) s.cluster.Pause(victim);
    s.Until([&] { return version() > before; }, absl::Seconds(3));
    s.Run(absl::Milliseconds(4));
    for (const auto& other : s.Others(survivor)) s.Kill(other, SimDiskAfter::kKeep);
    s.CutOff(survivor, {s.AnyClient()});
    s.StartAll();
    s.Run(absl::Seconds(4));
    s.cluster.Heal();
    for (const auto& name : s.cluster.names()) {
      if (s.cluster.paused(name)) s.cluster.Resume(name);
    }
    s.Run(absl::Seconds(1));
  }
}

// Everyone calls everywhere at once, and what the calls met is struck.
void Rush(Stage& s) {
  for (int i = 0; i < 3 && !s.over(); ++i) {
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(4));
    const std::string primary = s.AnyPrimary();
    if (primary.empty()) continue;
    switch (s.random.Below(3)) {
      case 0:
        s.Kill(primary, s.AnyDisk());
        break;
      case 1:
        for (const auto& client : s.clients) s.cluster.world().ResetConnections(client, primary);
        for (const auto& other : s.Others(primary)) {
          s.cluster.world().ResetConnections(other, primary);
        }
        break;
      case 2:
        for (const auto& client : s.clients) s.cluster.world().CutOneWay(primary, client);
        s.Run(absl::Milliseconds(50));
        s.Kill(primary, s.AnyDisk());
        break;
    }
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(1500));
    s.HealAll();
    s.Run(absl::Milliseconds(500));
  }
}

// Calls are sent again to a primary that has run them and cannot say so yet, or that has said so to
// nobody who heard it; then it is struck.
void Repeats(Stage& s) {
  auto& world = s.cluster.world();
  for (int i = 0; i < 3 && !s.over(); ++i) {
    const std::string primary = s.AnyPrimary();
    if (primary.empty()) return;
    const bool mute = s.random.Chance(0.5);
    for (const auto& other : s.Others(primary)) {
      if (!mute && s.random.Chance(0.8)) world.CutOneWay(primary, other);
    }
    if (mute) {
      for (const auto& client : s.clients) world.CutOneWay(primary, client);
    }
    s.ledgers.Everyone();
    s.ledgers.Relays(6);
    s.Run(absl::Milliseconds(80));
    for (int again = 0; again < 3; ++again) {
      for (const auto& client : s.clients) world.ResetConnections(client, primary);
      s.Run(absl::Milliseconds(60));
    }
    s.cluster.Heal();
    s.Run(absl::Milliseconds(s.random.Chance(0.5) ? 5 : 300));
    if (s.random.Chance(0.7)) s.Kill(primary, s.AnyDisk());
    s.Run(absl::Seconds(1));
    s.HealAll();
    s.Run(absl::Seconds(1));
  }
}

// Ledgers call each other while who calls, or who is called, dies or is cut off.
void Relays(Stage& s) {
  auto& world = s.cluster.world();
  for (int i = 0; i < 4 && !s.over(); ++i) {
    s.ledgers.Relays(24);
    s.Run(absl::Milliseconds(12));
    const std::string one = s.AnyPrimary();
    if (one.empty()) return;
    switch (s.random.Below(4)) {
      case 0:
        s.Kill(one, s.AnyDisk());
        break;
      case 1:
        for (const auto& other : s.Others(one)) world.CutOneWay(one, other);
        s.Run(absl::Milliseconds(30));
        s.Kill(one, s.AnyDisk());
        break;
      case 2:
        s.CutOff(one, {s.AnyClient()});
        break;
      case 3:
        s.cluster.Pause(one);
        break;
    }
    s.ledgers.Relays(6);
    s.Run(absl::Seconds(3));
    s.HealAll();
    s.Run(absl::Milliseconds(800));
  }
}

// What clients sent to a primary arrives there late: after they sent it to another and had their
// answers, and when it leads again.
void LateFrames(Stage& s) {
  auto& world = s.cluster.world();
  for (int i = 0; i < 2 && !s.over(); ++i) {
    const std::string ledger = s.AnyLedger();
    const std::string primary = LeaderOf(s, ledger);
    if (primary.empty()) return;
    for (const auto& client : s.clients) world.CutOneWay(client, primary);
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(50));
    StrikeOut(s, primary, {});
    const bool other = s.Until(
        [&] {
          const auto leader = LeaderOf(s, ledger);
          return !leader.empty() && leader != primary;
        },
        kDetection);
    if (!other) return;
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(500));
    for (const auto& node : s.Others(primary)) world.Heal(primary, node);
    if (s.random.Chance(0.7)) {
      s.Until([&] { return LeaderOf(s, ledger) == primary; }, kDetection);
      s.ledgers.Everyone();
      s.Run(absl::Milliseconds(200));
    }
    s.cluster.Heal();
    s.Run(absl::Seconds(2));
  }
}

// Who coordinates is cut off with commands in hand, and goes on with them when the map is another.
void OldCoordinator(Stage& s) {
  const auto version = [&] {
    auto map = s.cluster.NewestMap();
    return map ? map->version : 0;
  };
  for (int i = 0; i < 3 && !s.over(); ++i) {
    const std::string primary = s.AnyPrimary(), coordinator = s.cluster.Coordinator();
    if (primary.empty() || coordinator.empty() || !s.cluster.has(coordinator)) return;
    switch (s.random.Below(3)) {
      case 0:  // A backup falls silent: its primary takes it out.
        s.cluster.world().CutOneWay(primary, s.Others(primary)[0]);
        s.Run(absl::Milliseconds(400));
        break;
      case 1: {  // Who comes back registers, learns, and gets primaries handed over.
        const std::string victim = s.Others(coordinator)[0];
        s.Kill(victim, s.AnyDisk());
        s.Run(absl::Milliseconds(400));
        s.StartAll();
        const uint64_t before = version();
        const uint64_t steps = s.random.Below(8);
        s.Until([&] { return version() > before + steps; }, absl::Seconds(3));
        break;
      }
      case 2:  // Fenced by mistake, then not.
        s.CutOff(s.Others(coordinator)[0], {});
        s.Run(absl::Seconds(3));
        s.cluster.Heal();
        s.Run(absl::Seconds(3));
        break;
    }
    std::vector<std::string> one = {coordinator};
    if (s.random.Chance(0.5) && primary != coordinator) one.push_back(primary);
    std::vector<std::string> rest;
    for (const auto& name : s.cluster.names()) {
      if (std::find(one.begin(), one.end(), name) == one.end()) rest.push_back(name);
    }
    if (s.random.Chance(0.4)) {
      s.cluster.Pause(coordinator);
    } else {
      s.Part(one, rest);
    }
    const uint64_t before = version();
    s.Until([&] { return version() > before + 1; }, kDetection);
    s.Run(absl::Seconds(1));
    s.HealAll();
    s.Run(absl::Seconds(3));
  }
}

// Who would found a cluster dies, comes back empty, or does not hear the others.
void Founding(Stage& s) {
  auto& cluster = s.cluster;
  for (int i = 0; i < 4; ++i) {
    auto nodes = cluster.names();
    s.random.Shuffle(nodes);
    const size_t half = 1 + s.random.Below(nodes.size() - 1);
    const auto middle = nodes.begin() + static_cast<std::ptrdiff_t>(half);
    if (s.random.Chance(0.7)) s.Part({nodes.begin(), middle}, {middle, nodes.end()});
    s.Run(absl::Milliseconds(s.random.Chance(0.5) ? 100 : 3000));
    const std::string victim = s.Anyone();
    // Once there is a map, what is lost may be too much.
    if (cluster.has(victim) && cluster.NewestMap() == nullptr) {
      cluster.Kill(victim, s.AnyDisk());
    }
    s.Run(absl::Milliseconds(40));
    s.StartAll();
    if (s.random.Chance(0.5)) cluster.Heal();
    s.Run(absl::Milliseconds(500));
  }
  s.HealAll();
}

}  // namespace

const std::vector<Prefix>& AllPrefixes() {
  static const std::vector<Prefix> prefixes = {
      {"isolate", IsolateOnce},
      {"isolate-twice", IsolateTwice},
      {"sleeping-primary", SleepingPrimary},
      {"last-copy", LastCopy},
      {"learner-near", LearnerNear},
      {"handoff", Handoff},
      {"slow-handoff", SlowHandoff},
      {"torn-streams", TornStreams},
      {"batches-ahead", BatchesAhead},
      {"shrink", Shrink},
      {"fast-restart", FastRestart},
      {"wrong-verdicts", WrongVerdicts},
      {"voters", Voters},
      {"power-loss", PowerLoss},
      {"rush", Rush},
      {"repeats", Repeats},
      {"relays", Relays},
      {"late-frames", LateFrames},
      {"old-coordinator", OldCoordinator},
      {"founding", Founding, Prefix::Begins::kFounding},
  };
  return prefixes;
}

}  // namespace troupe::sim
