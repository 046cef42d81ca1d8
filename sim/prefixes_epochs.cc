// Prefixes that lead to what leases, elections and handoffs are about.
#include <algorithm>

#include "troupe/sim/prefix_scripts.h"

namespace troupe::sim {
namespace {

// While `second` waits out what was granted to `first`, somebody learns from it who knows nothing
// of those leases; then `second` is gone.
void LearnInLeaseWait(Stage& s, const std::string& first, const std::string& second) {
  std::string third;
  for (const auto& name : s.Others(second)) {
    if (name != first) third = name;
  }
  if (third.empty()) return;
  s.Kill(third, SimDiskAfter::kErase);
  s.StartAll();
  s.Until([&] { return s.IsInSync(third); }, absl::Seconds(4));
  s.Kill(second, SimDiskAfter::kKeep);
  s.Until([&] { return s.Leads(third); }, kDetection);
  s.Run(absl::Seconds(3));
}

// Leases are granted; the primary is cut off with a client that goes on reading, and sometimes with
// another node; another leads, and, perhaps, is struck before it serves for long.
void Isolate(Stage& s, bool twice) {
  const std::string ledger = s.AnyLedger();
  const std::string primary = s.LeaderOf(ledger);
  if (primary.empty()) return;
  const auto others = s.Others(primary);
  if (s.random.Chance(0.2)) {
    const auto slow = absl::Milliseconds(20 + 60 * s.random.Unit());
    for (const auto& other : others) s.cluster.world().SetLink(primary, other, {slow, slow * 1.5});
    s.cluster.Run(absl::Seconds(1));
  }
  std::vector<std::string> with = {s.random.Chance(0.7) ? s.reader : s.AnyClient()};
  if (others.size() > 2 && s.random.Chance(0.4)) with.push_back(others[0]);
  s.StrikeOut(primary, with);
  for (const auto& other : others) s.cluster.world().ClearLink(primary, other);
  if (!s.Until([&] { return s.AnotherLeads(ledger, primary); }, kDetection)) return;
  const std::string second = s.LeaderOf(ledger);
  if (twice && s.random.Chance(0.3)) return LearnInLeaseWait(s, primary, second);
  s.Run(absl::Milliseconds(300));
  if (!twice) return s.Run(absl::Seconds(3));
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
    s.StrikeOut(second, s.random.Chance(0.3) ? std::vector<std::string>{}
                                             : std::vector<std::string>{s.AnyClient()});
  }
  s.Until([&] { return s.AnotherLeads(ledger, second); }, kDetection);
  s.Run(absl::Seconds(3));
}

}  // namespace

void IsolateOnce(Stage& s) { Isolate(s, false); }
void IsolateTwice(Stage& s) { Isolate(s, true); }

// The primary is stopped while its leases hold, and wakes up amid another's reign.
void SleepingPrimary(Stage& s) {
  const std::string primary = s.AnyPrimary();
  if (primary.empty()) return;
  s.cluster.Pause(primary, s.random.Chance(0.5) ? SimPause::kProcess : SimPause::kComputer);
  if (s.random.Chance(0.3)) {
    s.Run(absl::Milliseconds(600));
  } else {
    s.Until([&] { return !s.Leads(primary); }, kDetection);
    s.Run(absl::Milliseconds(400));
  }
  s.cluster.Resume(primary);
  s.Run(absl::Seconds(1));
}

// Primaries are handed over while who hands over hears of it late.
void SlowHandoff(Stage& s) {
  auto& world = s.cluster.world();
  const std::string back = s.AnyPrimary();
  if (back.empty()) return;
  s.Kill(back, s.AnyDisk());
  if (!s.Until([&] { return !s.Leads(back); }, kDetection)) return;
  s.StartAll();
  const std::string primary = s.AnyPrimary();
  if (primary.empty() || primary == back) return;
  const auto slow = absl::Milliseconds(10 + 60 * s.random.Unit());
  for (const auto& other : s.Others(primary)) world.SetLink(primary, other, {slow, slow * 1.2});
  const std::string client = s.AnyClient();
  for (const auto& other : s.Others(primary)) world.Cut(client, other);
  s.Until([&] { return s.Leads(back); }, kDetection * 2);
  // It never hears of it, and what it was leased is void.
  if (s.random.Chance(0.6)) s.StrikeOut(primary, {s.reader});
  s.Run(absl::Seconds(3));
  for (const auto& other : s.Others(primary)) world.ClearLink(primary, other);
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
    if (!s.Until([&] { return s.Leads(primary); }, kDetection)) return;
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

}  // namespace troupe::sim
