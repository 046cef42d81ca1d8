// Transactions over several actors: all of it or nothing, for everybody, whoever dies.
#include <algorithm>

#include "../seeds.h"
#include "absl/strings/str_join.h"
#include "purse_fixture.h"
#include "troupe/actors/shard_of.h"
#include "troupe/sim/nemesis.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

class TransactionStormTest : public PurseFixture {
 protected:
  // What is wrong: money that somebody saw made or lost, or that is at the end; moves that were
  // not done once; a hold that stays.
  struct Found {
    uint64_t wrong = 0;
    std::string text;
    void Note(bool is_wrong, const std::string& what) {
      if (!is_wrong) return;
      ++wrong;
      text += "; " + what;
    }
  };

  void Begin(const ReplicaMutations& mutations, uint64_t seed) {
    cluster_.reset();
    auto options = Options();
    options.seed = seed;
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    Fund();
  }
  void StartTraffic(Random& random) {
    for (int i = 0; i < 4; ++i) {
      Go(MoveOn(traffic_, *client_, random.Fork("mover" + std::to_string(i))));
    }
    Go(AuditOn(traffic_, *client_));
    for (int i = 0; i < 2; ++i) {
      const std::string clerk = "clerk" + std::to_string(i);
      Go(DelegateOn(traffic_, clerk, random.Fork(clerk)));
    }
  }
  void Go(Task<void> task) { going_.push_back(kj::mv(task).AsPromise().eagerlyEvaluate(nullptr)); }
  // A cut, a kill or a leave, and its end.
  void Trouble(Random& random) {
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(600))));
    const std::string victim = cluster_->names()[random.Below(3)];
    const auto pause = absl::Milliseconds(static_cast<int64_t>(random.Below(1500)));
    if (random.Chance(0.3)) {
      cluster_->Cut(victim, victim == "a" ? "b" : "a");
      cluster_->Run(pause);
      cluster_->Heal();
    } else {
      if (random.Chance(0.4)) {
        cluster_->Leave(victim);
        cluster_->RunUntil([&] { return !cluster_->has(victim); });
      } else {
        cluster_->Kill(victim);
      }
      cluster_->Run(pause);
      cluster_->Restart(victim);
    }
    EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  Found End() {
    Found found;
    traffic_.stop = true;
    found.Note(!cluster_->RunUntil([&] { return traffic_.running == 0; }, absl::Minutes(2)),
               "some go on");
    const absl::Time began = cluster_->world().Now();
    int64_t sum = 0;
    uint64_t deposits = 0;
    for (uint64_t i = 0; i < kPurses; ++i) {
      const auto seen = Look(Name(i));
      sum += seen.balance;
      deposits += seen.deposits;
    }
    deposits -= kPurses;  // By Fund().
    found.Note(cluster_->world().Now() - began > absl::Seconds(15), "a hold stays");
    found.Note(sum != kAll, "at the end there is " + std::to_string(sum));
    found.Note(deposits < traffic_.moved || deposits > traffic_.moved + traffic_.unknown,
               std::to_string(deposits) + " moves were done, " + std::to_string(traffic_.moved) +
                   " answered, of " + std::to_string(traffic_.unknown) + " it is not known");
    found.Note(traffic_.wrong > 0, std::to_string(traffic_.wrong) + " sums were wrong");
    going_.clear();
    return found;
  }
  Found WrongThroughKills(const ReplicaMutations& mutations, uint64_t seed,
                          TransactOptions transact = {}) {
    Begin(mutations, seed);
    Random random(seed);
    traffic_ = {};
    traffic_.options = transact;
    StartTraffic(random);
    for (int i = 0; i < 5; ++i) Trouble(random);
    return End();
  }
  // Whether any of the first seeds finds it, with holds whose time is up again and again.
  bool IsFoundOut(const ReplicaMutations& mutations) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      if (WrongThroughKills(mutations, seed, {.limit = absl::Milliseconds(10)}).wrong > 0) {
        return true;
      }
    }
    return false;
  }

  Traffic traffic_;
  std::vector<kj::Promise<void>> going_;
};

TEST_P(TransactionStormTest, NobodySeesAHalfThroughKillsAndMoves) {
  const auto found = WrongThroughKills(kNoMutations, GetParam());
  EXPECT_EQ(found.wrong, 0u) << found.text << ", seed " << GetParam();
  EXPECT_GT(traffic_.moved, 20u) << traffic_.last_error;
  EXPECT_GT(traffic_.audited, 2u) << traffic_.last_error;
}

TEST_P(TransactionStormTest, NobodySeesAHalfThoughHoldsEndAllTheTime) {
  const auto found = WrongThroughKills(kNoMutations, GetParam(), {.limit = absl::Milliseconds(10)});
  EXPECT_EQ(found.wrong, 0u) << found.text << ", seed " << GetParam();
}

TEST_P(TransactionStormTest, NobodySeesAHalfThroughFaultsOfAllKinds) {
  Begin(kNoMutations, GetParam());
  Random random(GetParam());
  traffic_.options.limit = absl::Milliseconds(GetParam() % 2 == 0 ? 2000 : 50);
  StartTraffic(random);
  sim::Arena arena(*cluster_, random.Fork("faults"));
  sim::Storm storm(arena, sim::DrawNemeses(arena.random));
  storm.Rage(absl::Seconds(6));
  storm.Heal();
  ASSERT_TRUE(cluster_->Settle(absl::Minutes(2))) << cluster_->Describe() << "\n"
                                                  << absl::StrJoin(storm.said(), "\n");
  const auto found = End();
  EXPECT_EQ(found.wrong, 0u) << found.text << ", seed " << GetParam() << "\n"
                             << absl::StrJoin(storm.said(), "\n");
}

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionStormTest, ::testing::ValuesIn(SeedsOr(1, 10)));

// ---- Rules switched off

class TransactionWithoutTest : public TransactionStormTest {};

TEST_P(TransactionWithoutTest, AHoldOutsideOfTheBatchIsFoundOut) {
  ReplicaMutations mutations;
  mutations.hold_outside_batch = true;
  EXPECT_TRUE(IsFoundOut(mutations));
}

TEST_P(TransactionWithoutTest, AHoldThatEndsByItselfIsFoundOut) {
  ReplicaMutations mutations;
  mutations.hold_ends_by_itself = true;
  EXPECT_TRUE(IsFoundOut(mutations));
}

TEST_P(TransactionWithoutTest, AnAnswerThatForgetsTheOutboxIsFoundOut) {
  ReplicaMutations mutations;
  mutations.ask_forgets_outbox = true;
  EXPECT_TRUE(IsFoundOut(mutations));
}

TEST_P(TransactionWithoutTest, AFinishThatIsAnsweredBeforeItIsSafeIsFoundOut) {
  ReplicaMutations mutations;
  mutations.finish_answered_early = true;
  EXPECT_TRUE(IsFoundOut(mutations));
}

// Both are undone at their limit; then one of them is held again and the other called.
TEST_P(TransactionWithoutTest, AGrantThatIsNotComparedIsFoundOut) {
  for (const bool without : {false, true}) {
    ReplicaMutations mutations;
    mutations.grant_not_compared = without;
    Begin(mutations, GetParam());
    int runs = 0;
    Wait(client_->Transact(
        [&](Transaction& tx) -> Task<void> {
          co_await tx.Get<Purse>("p0").Withdraw(10);
          auto pause = After(absl::Milliseconds(++runs == 1 ? 1000 : 1));
          co_await pause;
          co_await tx.Get<Purse>("p0").Deposit(0);
          co_await tx.Get<Purse>("p1").Deposit(10);
        },
        {.limit = absl::Milliseconds(300)}));
    EXPECT_EQ(PlainSum(), without ? kAll + 10 : kAll);
  }
}

// The participant that decides lets go at its limit, which no copy of it hears of before it dies.
// The next primary still holds, and commits: so nobody may have been told that it had let go.
TEST_P(TransactionWithoutTest, AnAnswerThatIsNotSafeIsFoundOut) {
  for (const bool without : {false, true}) {
    ReplicaMutations mutations;
    mutations.ask_answered_early = without;
    cluster_.reset();
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c", "d", "e", "f"}, options);
    const auto map = cluster_->NewestMap();
    auto shard = [&](const std::string& key) -> const ShardEntry& {
      return map->shards[ShardOf({capnp::typeId<Purse>(), key}, *map)];
    };
    std::string other;
    for (int i = 0; i < 1000; ++i) {
      other = "other" + std::to_string(i);
      const auto& copies = shard("first").isr;
      if (std::ranges::find(copies, shard(other).primary) == copies.end()) break;
    }
    Wait(At("first").Deposit(kMoney));
    Wait(At(other).Deposit(kMoney));
    bool called = false;
    auto moved = client_
                     ->Transact(
                         [&](Transaction& tx) -> Task<void> {
                           co_await tx.Get<Purse>("first").Withdraw(10);
                           co_await tx.Get<Purse>(other).Deposit(10);
                           called = true;
                           auto pause = After(absl::Milliseconds(250));
                           co_await pause;
                         },
                         {.limit = absl::Milliseconds(200)})
                     .AsPromise()
                     .eagerlyEvaluate(nullptr);
    ASSERT_TRUE(cluster_->RunUntil([&] { return called; }));
    const std::string decides = map->FindBoot(shard("first").primary)->name;
    for (CopyId copy : shard("first").isr) {
      const auto name = map->FindBoot(copy)->name;
      if (name != decides) cluster_->Cut(decides, name);
    }
    cluster_->Run(absl::Milliseconds(240));  // Its time is up, and the other has asked.
    cluster_->Kill(decides);
    cluster_->Heal();
    Wait(Task<void>(kj::mv(moved)));
    EXPECT_EQ(Balance("first") + Balance(other), without ? 2 * kMoney - 10 : 2 * kMoney);
  }
}

// An actor begins a transaction, which conflicts, runs again and is committed; then the actor's
// node dies before its method is done. The method runs again elsewhere, and must not get in its
// first run what it did not get then.
TEST_P(TransactionWithoutTest, AConflictThatIsNotRecordedIsFoundOut) {
  for (const bool without : {false, true}) {
    ReplicaMutations mutations;
    mutations.conflict_unrecorded = without;
    uint64_t wrong = 0;
    for (int64_t step = 0; step < 400 && wrong == 0; ++step) {
      Begin(mutations, GetParam());
      cluster_->world().SetWallClock("client", absl::Seconds(-9));  // The other is the older.
      auto other = client_
                       ->Transact([&](Transaction& tx) -> Task<void> {
                         co_await tx.Get<Purse>("p0").Deposit(0);
                         auto pause = After(absl::Milliseconds(10));
                         co_await pause;
                       })
                       .AsPromise()
                       .eagerlyEvaluate(nullptr);
      cluster_->Run(absl::Milliseconds(2));
      std::string clerk = "clerk";
      while (PrimaryOf(clerk) == PrimaryOf("p0")) clerk += "k";
      auto moved = At(clerk).Move("p0", "p1", 1).AsPromise().eagerlyEvaluate(nullptr);
      cluster_->Run(absl::Milliseconds(8) + absl::Microseconds(50 * step));
      cluster_->Kill(PrimaryOf(clerk));
      Wait(Task<void>(kj::mv(other)));
      EXPECT_EQ(cluster_->Await(kj::mv(moved)), 1u);
      if (Balance("p1") != kMoney + 1) ++wrong;
      EXPECT_EQ(PlainSum(), kAll);
    }
    EXPECT_EQ(wrong > 0, without) << wrong;
  }
}

TEST_P(TransactionWithoutTest, ATellThatLeavesBeforeTheCommitIsFoundOut) {
  for (const bool without : {false, true}) {
    ReplicaMutations mutations;
    mutations.told_before_commit = without;
    Begin(mutations, GetParam());
    EXPECT_THAT(ErrorOf(client_
                            ->Transact([&](Transaction& tx) -> Task<void> {
                              co_await tx.Get<Purse>("p0").Pass("p1", 10);
                              auto pause = After(absl::Seconds(1));
                              co_await pause;
                              co_await Fail("rather not");
                            })
                            .AsPromise()),
                HasSubstr("rather not"));
    EXPECT_EQ(PlainSum(), without ? kAll + 10 : kAll);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionWithoutTest, ::testing::Values(uint64_t{1}));

}  // namespace
}  // namespace troupe
