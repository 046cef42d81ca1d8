// Prefixes that lead to what in-sync sets, learners and streams are about.
#include <algorithm>

#include "troupe/sim/prefix_scripts.h"

namespace troupe::sim {

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
  s.StrikeOut(primary, {s.AnyClient()});
  for (const auto& other : others) s.cluster.world().ClearLink(primary, other);
  s.Until([&] { return !s.Leads(primary); }, kDetection);
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

// A copy that catches up is added; as soon as it counts, those who had all are struck.
void LearnerNear(Stage& s) {
  const std::string victim = s.Anyone();
  s.Kill(victim, SimDiskAfter::kErase);
  if (s.cluster.has(victim)) return;
  if (s.random.Chance(0.7)) s.Run(absl::Seconds(2));
  s.cluster.Restart(victim);
  const auto joins = [&] { return s.IsInSync(victim); };
  const auto learns = [&] { return s.IsIn(victim, &ShardEntry::learners); };
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
  s.Until([&] { return !s.Leads(primary); }, kDetection);
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

}  // namespace troupe::sim
