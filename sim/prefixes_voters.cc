// Prefixes that lead to what the register and its voters are about.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/sim/prefix_scripts.h"

namespace troupe::sim {
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
  const std::string survivor = s.Anyone();
  for (int i = 0; i < 3 && !s.over(); ++i) {
    const uint64_t before = s.MapVersion();
    const std::string victim = s.Others(survivor)[0];
    if (s.random.Chance(0.5)) s.cluster.Pause(victim);
    s.Until([&] { return s.MapVersion() > before; }, absl::Seconds(3));
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

// Who coordinates is cut off with commands in hand, and goes on with them when the map is another.
void OldCoordinator(Stage& s) {
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
        const uint64_t before = s.MapVersion();
        const uint64_t steps = s.random.Below(8);
        s.Until([&] { return s.MapVersion() > before + steps; }, absl::Seconds(3));
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
    const uint64_t before = s.MapVersion();
    s.Until([&] { return s.MapVersion() > before + 1; }, kDetection);
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

}  // namespace troupe::sim
