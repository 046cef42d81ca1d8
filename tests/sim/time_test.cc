// Timers and reminders: what time brings to actors, through kills.
#include <map>

#include "clerk_fixture.h"
#include "troupe/actors/actor_store.h"

namespace troupe {
namespace {

class TimeTest : public ClerkFixture {
 protected:
  // Every due time of the rhythm that begins with the first, once.
  static void ExpectRhythm(const std::vector<absl::Time>& served, absl::Duration every) {
    for (size_t i = 1; i < served.size(); ++i) {
      EXPECT_EQ(served[i] - served[i - 1], every) << "the " << i << "th";
    }
  }

  // Clerks that are reminded each second, and are not active in between, while each node dies
  // twice. The number of due times that were not served once, or whose effects elsewhere were not.
  uint64_t WrongThroughKills(const ReplicaMutations& mutations, uint64_t asks = 60) {
    constexpr int kClerks = 24;
    office_.reminder_asks = asks;  // It takes time: some are under way at each kill.
    HostClerks({.idle_timeout = absl::Milliseconds(200)});
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    auto key = [](int i) { return "k" + std::to_string(i); };
    for (int i = 0; i < kClerks; ++i) {
      Remind(key(i), absl::Milliseconds(1000 + 41 * i), absl::Seconds(1), CatchUp::kAll);
    }
    for (int round = 0; round < 2; ++round) {
      for (const auto* name : {"a", "b", "c"}) {
        cluster_->Run(absl::Milliseconds(1500 + 137 * round));
        cluster_->Kill(name);
        cluster_->Run(absl::Seconds(2));
        cluster_->Restart(name);
        EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
      }
    }
    uint64_t wrong = 0;
    for (int i = 0; i < kClerks; ++i) {
      cluster_->Await(At(key(i)).Forget("bell"));
      Remind(key(i), absl::Hours(1), absl::ZeroDuration());
      const auto seen = Look(key(i));
      EXPECT_GE(seen.served.size(), 15u);
      for (size_t k = 1; k < seen.served.size(); ++k) {
        wrong += seen.served[k] - seen.served[k - 1] != absl::Seconds(1);
      }
      wrong += seen.missed;
      wrong += Get(key(i)) != seen.served.size();
    }
    return wrong + CopiesThatDiffer();
  }

  // Copies of one version of an actor that do not have the same reminders.
  uint64_t CopiesThatDiffer() {
    std::map<std::pair<ActorId, Version>, ReminderTable::List> first;
    uint64_t differ = 0, looked = 0;
    for (const auto& name : cluster_->names()) {
      cluster_->node(name).ForEachReplica([&](const ShardReplica& replica) {
        for (const auto& [actor, due] : replica.store().ListReminders()) {
          const auto& held = *replica.store().Find(actor);
          auto [it, fresh] = first.try_emplace({actor, held.version}, *held.reminders);
          differ += it->second != *held.reminders;
          ++looked;
        }
      });
    }
    EXPECT_GT(looked, first.size());
    return differ;
  }
};

TEST_P(TimeTest, ATimerRunsItsTurnsInItsRhythm) {
  HostClerks();
  Start({"a", "b", "c"});
  Tick("x", absl::Milliseconds(100));
  cluster_->Run(absl::Milliseconds(1050));
  const auto seen = Look("x");
  EXPECT_GE(seen.ticked, 10u);
  EXPECT_LE(seen.ticked, 11u);
  cluster_->Await(At("x").StopTicking());
  const uint64_t ticked = Look("x").ticked;
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Look("x").ticked, ticked);
}

TEST_P(TimeTest, TurnsOfATimerThatTakeLongNeverOverlap) {
  HostClerks();
  Start({"a", "b", "c"});
  Tick("x", absl::Milliseconds(1), false, 20);  // Each asks another actor twenty times.
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(office_.failures, 0u);
  EXPECT_EQ(Add("x"), 1u);  // Calls have their turn between them.
  EXPECT_GT(Look("x").ticked, 10u);
}

TEST_P(TimeTest, ATimerGoesWithItsObjectAndWhatItDidStays) {
  HostClerks();
  Start({"a", "b", "c"});
  Tick("x", absl::Milliseconds(100));
  cluster_->Run(absl::Seconds(1));
  const uint64_t ticked = Look("x").ticked;
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  const auto after = Look("x");
  EXPECT_GE(after.ticked, ticked);
  EXPECT_EQ(after.ticks, 0u);
  cluster_->Run(absl::Seconds(5));
  EXPECT_EQ(Look("x").ticked, after.ticked);
}

TEST_P(TimeTest, ATimerThatOnActivateStartsRunsAgainAfterAFailedCall) {
  office_.tick_on_activation["x"] = 100;
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  const uint64_t object = Look("x").object;
  EXPECT_THAT(ErrorOf(At("x").Fail(0)), ::testing::HasSubstr("told to fail"));
  cluster_->Run(absl::Seconds(1));  // Nobody calls it.
  const auto seen = Look("x");
  EXPECT_NE(seen.object, object);
  EXPECT_GE(seen.ticks, 9u);
}

TEST_P(TimeTest, AReminderIsServedOnTimeAndOnce) {
  HostClerks();
  Start({"a", "b", "c"});
  auto& clock = cluster_->world().machine(cluster_->PrimaryOf(ClerkId("x"))).control().clock();
  const absl::Time before = clock.WallNow();
  Remind("x", absl::Seconds(5), absl::ZeroDuration());
  cluster_->Run(absl::Seconds(4));
  EXPECT_TRUE(Look("x").served.empty());
  cluster_->Run(absl::Milliseconds(1100));
  const auto seen = Look("x");
  ASSERT_EQ(seen.served.size(), 1u);
  EXPECT_GE(seen.served[0], before + absl::Milliseconds(4990));
  cluster_->Run(absl::Minutes(1));
  EXPECT_EQ(Look("x").served.size(), 1u);
  EXPECT_EQ(Get("x"), 1u);
}

TEST_P(TimeTest, AReminderCanBeTakenBackAndSetAnew) {
  HostClerks();
  Start({"a", "b", "c"});
  Remind("x", absl::Seconds(5), absl::Seconds(5));
  Remind("x", absl::Seconds(20), absl::Seconds(5));
  cluster_->Run(absl::Seconds(18));
  EXPECT_TRUE(Look("x").served.empty());
  EXPECT_TRUE(cluster_->Await(At("x").Forget("bell")));
  cluster_->Run(absl::Minutes(1));
  EXPECT_TRUE(Look("x").served.empty());
}

TEST_P(TimeTest, OnlyWhatATurnThatSucceedsSetsIsKept) {
  HostClerks();
  Start({"a", "b", "c"});
  for (int i = 0; i < 64; ++i) {
    Remind("x", absl::Hours(1), absl::ZeroDuration(), CatchUp::kOnce, "n" + std::to_string(i));
  }
  EXPECT_THAT(ErrorOf(At("x").Remind("one too many", 0, 0, 0)), ::testing::HasSubstr("at most 64"));
}

TEST_P(TimeTest, AReminderOfAPassivatedActorWakesItAlsoOnAnotherNode) {
  HostClerks({.idle_timeout = absl::Seconds(2)});
  Start({"a", "b", "c"});
  Remind("x", absl::Seconds(30), absl::Seconds(10));
  cluster_->Run(absl::Seconds(10));
  EXPECT_EQ(Activations(), 0u);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  cluster_->Run(absl::Seconds(45));
  const auto seen = Look("x");
  EXPECT_GE(seen.served.size(), 3u);
  EXPECT_EQ(seen.missed, 0u);
  ExpectRhythm(seen.served, absl::Seconds(10));
}

TEST_P(TimeTest, NoDueTimeIsLostOrServedTwiceThroughKills) {
  EXPECT_EQ(WrongThroughKills(kNoMutations), 0u);
}

TEST_P(TimeTest, AReminderThatGoesOnOutsideTheBatchOfItsTurnIsFoundOut) {
  ReplicaMutations outside;
  outside.reminder_outside_batch = true;
  EXPECT_GT(WrongThroughKills(outside, 200), 0u);
}

TEST_P(TimeTest, WhatWasMissedIsMadeUpForAsTheReminderSays) {
  HostClerks({.idle_timeout = absl::Seconds(2)});
  Start({"a", "b", "c"});
  Remind("skip", absl::Seconds(10), absl::Seconds(10), CatchUp::kSkip);
  Remind("once", absl::Seconds(10), absl::Seconds(10), CatchUp::kOnce);
  Remind("all", absl::Seconds(10), absl::Seconds(10), CatchUp::kAll);
  cluster_->Run(absl::Seconds(5));
  // Nobody serves: the cluster stands still for a while, then its clocks say what time it is.
  for (const auto& name : cluster_->names()) {
    cluster_->world().SetWallClock(name, absl::Seconds(65));
  }
  cluster_->Run(absl::Seconds(1));
  const auto skip = Look("skip"), once = Look("once"), all = Look("all");
  EXPECT_EQ(skip.served.size(), 0u);
  EXPECT_EQ(once.served.size(), 1u);
  EXPECT_GE(once.missed, 5u);
  EXPECT_EQ(all.served.size(), once.missed + 1);
  ExpectRhythm(all.served, absl::Seconds(10));
  cluster_->Run(absl::Seconds(10));
  const auto next = Look("skip");
  EXPECT_EQ(next.served.size(), 1u);
  EXPECT_EQ(next.missed, once.missed + 1);
}

TEST_P(TimeTest, ClocksThatAreApartServeNothingTwice) {
  HostClerks();
  Start({"a", "b", "c"});
  cluster_->world().SetWallClock("a", absl::Seconds(4));
  cluster_->world().SetWallClock("b", absl::ZeroDuration());
  cluster_->world().SetWallClock("c", absl::Seconds(-4));
  for (const auto* key : {"x", "y", "z"}) {
    Remind(key, absl::Seconds(2), absl::Seconds(2), CatchUp::kAll);
  }
  cluster_->Run(absl::Seconds(7));
  for (const auto* name : {"a", "b"}) {
    cluster_->Kill(name);
    cluster_->Run(absl::Seconds(7));
    cluster_->Restart(name);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  for (const auto* key : {"x", "y", "z"}) {
    const auto seen = Look(key);
    EXPECT_GE(seen.served.size(), 6u);
    ExpectRhythm(seen.served, absl::Seconds(2));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimeTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
