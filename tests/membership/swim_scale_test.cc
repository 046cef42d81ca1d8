// Swim at scale: what a thousand members cost, how fast they find deaths and spread maps.
//
// TROUPE_SCALE sets the largest number of members; the table of docs/scale.md is what this prints.
#include "swim_scale.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace troupe {
namespace {

using Kind = SwimNotice::Kind;

int Largest() {
  const char* more = std::getenv("TROUPE_SCALE");
  return more == nullptr ? 1000 : std::atoi(more);
}

// What the formulas of swim_options.h allow for n members.
absl::Duration Round() { return SwimOptions().gossip_interval; }
absl::Duration LeastSuspicion(int n) {
  SwimOptions options;
  return options.probe_interval * options.suspicion_mult * std::max(1.0, std::log10(n));
}
// A rumour reaches all: thrice the rounds that a fanout of 3 takes in the mean.
absl::Duration SpreadBound(int n) { return Round() * (6 + 3 * std::log2(n)); }
// The ring or another's comes to it, nobody confirms, all are told.
absl::Duration DeathBound(int n) {
  SwimOptions options;
  return 5 * options.probe_interval + LeastSuspicion(n) * options.suspicion_max_mult +
         SpreadBound(n);
}

struct Cost {
  double datagrams, datagram_bytes, exchange_bytes;  // Per second and member.
};

Cost Measure(SwimScale& world, absl::Duration span) {
  const uint64_t packets = world.datagrams, bytes = world.datagram_bytes;
  const uint64_t exchanged = world.exchange_bytes;
  world.Run(span);
  const double per = absl::ToDoubleSeconds(span) * world.size();
  return {static_cast<double>(world.datagrams - packets) / per,
          static_cast<double>(world.datagram_bytes - bytes) / per,
          static_cast<double>(world.exchange_bytes - exchanged) / per};
}

TEST(SwimScaleTest, ACalmMemberCostsTheSameHoweverManyThereAre) {
  std::vector<Cost> costs;
  for (int n : {10, 100, Largest()}) {
    SwimScale world(n, 1);
    world.Run(absl::Seconds(5));
    const Cost cost = Measure(world, absl::Seconds(8));
    costs.push_back(cost);
    EXPECT_TRUE(world.verdicts.empty());
    std::printf("calm       n=%-6d datagrams/s %.1f  gossip B/s %.0f  push/pull B/s %.0f\n", n,
                cost.datagrams, cost.datagram_bytes, cost.exchange_bytes);
  }
  EXPECT_LE(costs[1].datagram_bytes, 1.1 * costs[0].datagram_bytes);
  EXPECT_LE(costs[2].datagram_bytes, 1.1 * costs[1].datagram_bytes);
  EXPECT_LE(costs[2].exchange_bytes, 1.3 * costs[1].exchange_bytes);
}

TEST(SwimScaleTest, DeathsAndMapsSpreadWithTheLogarithm) {
  for (int n : {10, 100, Largest()}) {
    SwimScale world(n, 2);
    world.spread_maps = true;
    world.Run(absl::Seconds(2));
    world.SetMap(0, 7);
    const absl::Duration spread = world.Await(absl::Seconds(10), [&] {
      for (int i = 0; i < n; ++i) {
        if (world.at(i).self().map_version != 7) return false;
      }
      return true;
    });
    EXPECT_LE(spread, SpreadBound(n));

    const int dying = std::max(1, 30 * n / 1000);
    for (int i = 0; i < dying; ++i) world.Kill(n / 2 + i);
    const absl::Time killed = world.now();
    const uint64_t bytes = world.datagram_bytes;
    const size_t wanted = static_cast<size_t>(dying) * static_cast<size_t>(n - dying);
    const absl::Duration known =
        world.Await(2 * DeathBound(n), [&] { return world.Count(Kind::kDied) >= wanted; });
    EXPECT_LE(known, DeathBound(n));
    const double per = absl::ToDoubleSeconds(known) * (n - dying);
    absl::Duration suspected = absl::ZeroDuration();
    std::map<int, absl::Time> first;
    for (const auto& verdict : world.verdicts) {
      if (first.try_emplace(verdict.subject, verdict.when).second) {
        suspected = std::max(suspected, verdict.when - killed);
      }
      const bool meant = verdict.subject >= n / 2 && verdict.subject < n / 2 + dying;
      EXPECT_TRUE(meant || verdict.kind == Kind::kSuspected) << verdict.subject;
    }
    std::printf(
        "deaths     n=%-6d %d die: all suspected in %.2f s, dead to all in %.2f s (bound "
        "%.1f), %.0f B/s; map to all in %.2f s (bound %.2f)\n",
        n, dying, absl::ToDoubleSeconds(suspected), absl::ToDoubleSeconds(known),
        absl::ToDoubleSeconds(DeathBound(n)),
        static_cast<double>(world.datagram_bytes - bytes) / per, absl::ToDoubleSeconds(spread),
        absl::ToDoubleSeconds(SpreadBound(n)));
  }
}

// Three faults in one world, one after the other, to fill it only once.
TEST(SwimScaleTest, LossALiarAndACutOneWayKillNobodyElse) {
  const int n = Largest();
  SwimScale world(n, 3);
  Random random(4);
  world.loss = [](int, int) { return 0.01; };
  world.Run(absl::Seconds(2));
  const Cost lossy = Measure(world, absl::Seconds(6));
  EXPECT_EQ(world.Count(Kind::kDied), 0);
  std::printf("1%% loss    n=%-6d suspicions heard %zu, dead 0, %.0f B/s\n", n,
              world.Count(Kind::kSuspected), lossy.datagram_bytes);
  world.loss = [](int, int) { return 0.0; };
  world.Run(absl::Seconds(2));

  // A liar accuses a living member ten times a second, of whom it knows the newest.
  world.verdicts.clear();
  const uint64_t before = world.datagram_bytes;
  for (int i = 0; i < 30; ++i) {
    const int victim = 1 + static_cast<int>(random.Below(static_cast<uint64_t>(n - 1)));
    const Member lie =
        Accusation(world.at(victim).self(), MemberState::kSuspect, SwimScale::NameOf(0));
    for (int k = 0; k < 3; ++k) {
      world.Tell(0, 1 + static_cast<int>(random.Below(static_cast<uint64_t>(n - 1))), lie);
    }
    world.Run(absl::Milliseconds(100));
  }
  EXPECT_EQ(world.Count(Kind::kDied), 0);
  std::printf("liar       n=%-6d 30 lies: suspicions heard %zu, dead 0, %.0f B/s\n", n,
              world.Count(Kind::kSuspected),
              static_cast<double>(world.datagram_bytes - before) / (3.0 * n));

  // Nothing of one rack reaches another: each has helpers that reach both.
  world.verdicts.clear();
  world.loss = [n](int from, int to) {
    return from < n / 10 && to >= n / 2 && to < n / 2 + n / 10 ? 1.0 : 0.0;
  };
  world.Run(absl::Seconds(3));
  EXPECT_EQ(world.Count(Kind::kDied), 0);

  // One hears nothing and still speaks, another loses four fifths of what comes.
  world.verdicts.clear();
  world.loss = [](int, int to) { return to == 5 ? 1.0 : to == 6 ? 0.8 : 0.0; };
  const absl::Duration known = world.Await(2 * DeathBound(n), [&] {
    std::set<int> know;
    for (const auto& verdict : world.verdicts) {
      if (verdict.kind == Kind::kDied && verdict.subject == 5) know.insert(verdict.observer);
    }
    return know.size() >= static_cast<size_t>(n - 2);
  });
  EXPECT_LE(known, DeathBound(n));
  for (const auto& verdict : world.verdicts) {
    if (verdict.kind != Kind::kDied || verdict.observer == 5) continue;
    EXPECT_TRUE(verdict.subject == 5 || verdict.subject == 6) << verdict.subject;
  }
  std::printf("deaf       n=%-6d dead to all in %.2f s\n", n, absl::ToDoubleSeconds(known));
}

}  // namespace
}  // namespace troupe
