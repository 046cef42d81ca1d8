// Prefixes that lead to what calls and their records are about.
#include <algorithm>

#include "troupe/sim/prefix_scripts.h"

namespace troupe::sim {
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
    const std::string primary = s.LeaderOf(ledger);
    if (primary.empty()) return;
    for (const auto& client : s.clients) world.CutOneWay(client, primary);
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(50));
    s.StrikeOut(primary, {});
    if (!s.Until([&] { return s.AnotherLeads(ledger, primary); }, kDetection)) return;
    s.ledgers.Everyone();
    s.Run(absl::Milliseconds(500));
    for (const auto& node : s.Others(primary)) world.Heal(primary, node);
    if (s.random.Chance(0.7)) {
      s.Until([&] { return s.LeaderOf(ledger) == primary; }, kDetection);
      s.ledgers.Everyone();
      s.Run(absl::Milliseconds(200));
    }
    s.cluster.Heal();
    s.Run(absl::Seconds(2));
  }
}

}  // namespace troupe::sim
