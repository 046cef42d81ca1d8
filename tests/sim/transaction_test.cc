// Transactions over several actors: all of it or nothing, for everybody, whoever dies.
#include <algorithm>

#include "../seeds.h"
#include "absl/strings/str_join.h"
#include "purse_fixture.h"
#include "troupe/actors/shard_of.h"
#include "troupe/actors/transaction_message.h"
#include "troupe/sim/nemesis.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TransactionTest : public PurseFixture {
 protected:
  template <typename Body>
  std::string ErrorOfTransact(Body body, TransactOptions options = {}) {
    return ErrorOf(client_->Transact(std::move(body), options).AsPromise());
  }
  std::string ErrorOfTry(const std::string& what) {
    return ErrorOfTransact(
        [&](Transaction& tx) -> Task<void> { co_await tx.Get<Purse>("x").Try(what); });
  }
};

TEST_P(TransactionTest, TakesEffectAtAllItsParticipants) {
  Start({"a", "b", "c"});
  Fund();
  Wait(client_->Transact(Moving("p0", "p1", 30)));
  EXPECT_EQ(Balance("p0"), kMoney - 30);
  EXPECT_EQ(Balance("p1"), kMoney + 30);
  EXPECT_EQ(Wait(client_->Transact([](Transaction& tx) { return SumBody(tx); })),
            kAll);
}

TEST_P(TransactionTest, ABodyThatThrowsChangesNothing) {
  Start({"a", "b", "c"});
  Fund();
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                co_await tx.Get<Purse>("p1").Deposit(kMoney + 1);
                co_await tx.Get<Purse>("p0").Withdraw(kMoney + 1);
              }),
              HasSubstr("there is less in this purse"));
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                co_await tx.Get<Purse>("p1").Deposit(1);
                co_await Fail("changed my mind");
              }),
              HasSubstr("changed my mind"));
  EXPECT_EQ(Balance("p0"), kMoney);
  EXPECT_EQ(Balance("p1"), kMoney);
  EXPECT_EQ(Look("p1").deposits, 1u);
}

TEST_P(TransactionTest, AMethodsErrorThatTheBodyHandlesIsNoObstacle) {
  Start({"a", "b", "c"});
  Fund();
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    auto first = tx.Get<Purse>("p0").Withdraw(kMoney + 1);
    auto outcome = co_await Settled(first);
    EXPECT_FALSE(outcome.ok());
    co_await tx.Get<Purse>("p0").Withdraw(1);
    co_await tx.Get<Purse>("p1").Deposit(1);
  }));
  EXPECT_EQ(Balance("p0"), kMoney - 1);
  EXPECT_EQ(Balance("p1"), kMoney + 1);
}

TEST_P(TransactionTest, OthersWaitUntilItIsOver) {
  Start({"a", "b", "c"});
  Fund();
  bool looked = false;
  kj::Promise<void> look = nullptr;
  auto transaction = client_->Transact([&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Purse>("p0").Withdraw(10);
    look = At("p0")
               .Look()
               .AsPromise()
               .then([&](Purse::LookReply reply) {
                 looked = true;
                 EXPECT_EQ(reply.balance, kMoney - 10);
               })
               .eagerlyEvaluate(nullptr);
    auto pause = After(absl::Seconds(1));
    co_await pause;
    EXPECT_FALSE(looked);
    co_await tx.Get<Purse>("p1").Deposit(10);
  });
  Wait(kj::mv(transaction));
  Wait(Task<void>(kj::mv(look)));
  EXPECT_TRUE(looked);
}

TEST_P(TransactionTest, WhatItsCallsTellLeavesWithTheCommit) {
  Start({"a", "b", "c"});
  Fund();
  auto pass = [&](bool commit) {
    return [&, commit](Transaction& tx) -> Task<void> {
      co_await tx.Get<Purse>("p0").Pass("p1", 10);
      auto pause = After(absl::Seconds(1));
      co_await pause;
      if (!commit) co_await Fail("rather not");
    };
  };
  auto committed = pass(true);
  auto aborted = pass(false);
  EXPECT_THAT(ErrorOfTransact(std::ref(aborted)), HasSubstr("rather not"));
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(Balance("p1"), kMoney);
  Wait(client_->Transact(std::ref(committed)));
  EXPECT_TRUE(cluster_->RunUntil([&] { return Balance("p1") == kMoney + 10; }, absl::Seconds(5)));
  EXPECT_EQ(Balance("p0"), kMoney - 10);
}

// Also to one of its participants, which is held until it hears of the commit.
TEST_P(TransactionTest, MayTellOneOfItsParticipants) {
  Start({"a", "b", "c"});
  Fund();
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Purse>("p0").Pass("p1", 10);
    co_await tx.Get<Purse>("p1").Deposit(1);
  }));
  EXPECT_TRUE(cluster_->RunUntil([&] { return Balance("p1") == kMoney + 11; }, absl::Seconds(5)));
}

TEST_P(TransactionTest, UndoesRemindersAndResumeToo) {
  Start({"a", "b", "c"});
  Wait(At("x").Try("ring"));
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                co_await tx.Get<Purse>("x").Try("silence");
                co_await tx.Get<Purse>("y").Try("ring");
                co_await tx.Get<Purse>("y").Try("resume");
                auto pause = After(absl::Seconds(1));
                co_await pause;
                co_await Fail("rather not");
              }),
              HasSubstr("rather not"));
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(Look("x").rings, 1u);
  EXPECT_EQ(Look("y").rings, 0u);
  EXPECT_EQ(Look("y").resumed, 0u);
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Purse>("y").Try("ring");
    co_await tx.Get<Purse>("y").Try("resume");
    auto pause = After(absl::Seconds(1));
    co_await pause;
  }));
  EXPECT_TRUE(cluster_->RunUntil(
      [&] {
        const auto seen = Look("y");
        return seen.rings == 1 && seen.resumed == 1;
      },
      absl::Seconds(5)));
}

// ---- What is refused

TEST_P(TransactionTest, WhatATurnInItMayNotDoIsRefused) {
  Start({"a", "b", "c"});
  Wait(At("x").Deposit(1));
  EXPECT_THAT(ErrorOfTry("erase"),
              AllOf(HasSubstr("actor Purse/x called Erase() in a call that is part of a transaction"),
                    HasSubstr("do it in a method that is called by itself")));
  EXPECT_THAT(ErrorOfTry("deactivate"), HasSubstr("called Deactivate() in a call that is part"));
  EXPECT_THAT(ErrorOfTry("persist"), HasSubstr("called Persisted() in a call that is part"));
  EXPECT_THAT(ErrorOfTry("transact"), HasSubstr("called Transact() in a call that is part"));
  EXPECT_THAT(ErrorOfTry("call"),
              HasSubstr("actor Purse/x called Purse/other in a call that is part of a transaction: "
                        "call it in the transaction's body, or by Tell()"));
  EXPECT_EQ(Balance("x"), 1);
}

TEST_P(TransactionTest, HasItsBounds) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                for (size_t i = 0; i <= kParticipantsMax; ++i) {
                  co_await tx.Get<Purse>("many" + std::to_string(i)).Deposit(1);
                }
              }),
              HasSubstr("a transaction has at most 64 participants"));
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                for (size_t i = 0; i <= kTransactionCallsMax; ++i) {
                  co_await tx.Get<Purse>("many").Deposit(1);
                }
              }),
              HasSubstr("a transaction makes at most 256 calls"));
  EXPECT_EQ(Balance("many"), 0);
  EXPECT_THAT(ErrorOfTransact([](Transaction&) -> Task<void> { co_return; },
                              {.limit = absl::Minutes(2)}),
              HasSubstr("TransactOptions::limit must be from 1ms to 1m, got 2m"));
  Wait(At("big").Fill(5 << 20));
  EXPECT_THAT(ErrorOfTransact([](Transaction& tx) -> Task<void> {
                co_await tx.Get<Purse>("big").Fill(4 << 20);
              }),
              HasSubstr("can be kept in a transaction, beside the one before it"));
}

TEST_P(TransactionTest, ARefOfItEndsWithItsBody) {
  Start({"a", "b", "c"});
  Purse::Ref kept;
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    kept = tx.Get(At("p0"));
    co_await kept.Deposit(1);
  }));
  EXPECT_THAT(ErrorOf(kept.Deposit(1).AsPromise().ignoreResult()),
              HasSubstr("a ref of a transaction was called after its body had ended"));
  EXPECT_EQ(Balance("p0"), 1);
}

TEST_P(TransactionTest, WhoBeginsItIsNoParticipant) {
  Start({"a", "b", "c"});
  Wait(At("p1").Deposit(5));
  EXPECT_THAT(ErrorOf(At("p0").Move("p1", "p0", 1).AsPromise().ignoreResult()),
              HasSubstr("began the transaction, and cannot be one of its participants"));
  EXPECT_EQ(Balance("p1"), 5);
}

// ---- Those who meet

TEST_P(TransactionTest, ManyOverFewAllComeAbout) {
  Start({"a", "b", "c"});
  Fund();
  std::vector<kj::Promise<void>> all;
  for (int i = 0; i < 24; ++i) {
    const bool there = i % 2 == 0;
    all.push_back(client_->Transact(Moving(there ? "p0" : "p1", there ? "p1" : "p0", 1))
                      .AsPromise()
                      .eagerlyEvaluate(nullptr));
  }
  const absl::Time began = cluster_->world().Now();
  for (auto& one : all) Wait(Task<void>(kj::mv(one)));
  EXPECT_LT(cluster_->world().Now() - began, absl::Seconds(10));
  EXPECT_EQ(Balance("p0"), kMoney);
  EXPECT_EQ(Balance("p1"), kMoney);
}

TEST_P(TransactionTest, WhoDoesNotGetWhatAnotherHoldsIsToldByWhom) {
  Start({"a", "b", "c"});
  Fund();
  auto holder = client_
                    ->Transact(
                        [&](Transaction& tx) -> Task<void> {
                          co_await tx.Get<Purse>("p0").Deposit(1);
                          auto pause = After(absl::Seconds(8));
                          co_await pause;
                        })
                    .AsPromise()
                    .eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(500));
  EXPECT_THAT(ErrorOfTransact(Moving("p0", "p1", 1), {.deadline = absl::Seconds(2)}),
              AllOf(HasSubstr("the transaction did not come about within 2s, in "),
                    HasSubstr("it waits for Purse/p0; transaction "),
                    HasSubstr(", which began with Purse/p0, has held it for ")));
  EXPECT_THAT(ErrorOf(At("p0").WithDeadline(absl::Seconds(1)).Deposit(1).AsPromise().ignoreResult()),
              AllOf(HasSubstr("did not get its turn before its deadline"),
                    HasSubstr(", which began with Purse/p0, has held it for ")));
  Wait(Task<void>(kj::mv(holder)));
}

TEST_P(TransactionTest, ThatTakesLongerThanItsLimitIsUndoneAndRunsAgain) {
  Start({"a", "b", "c"});
  Fund();
  int runs = 0;
  Wait(client_->Transact(
      [&](Transaction& tx) -> Task<void> {
        co_await tx.Get<Purse>("p0").Withdraw(10);
        co_await tx.Get<Purse>("p1").Deposit(10);
        auto pause = After(absl::Milliseconds(++runs == 1 ? 1500 : 1));
        co_await pause;
      },
      {.limit = absl::Milliseconds(300)}));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(Balance("p0"), kMoney - 10);
  EXPECT_EQ(Balance("p1"), kMoney + 10);
}

// ---- Whoever began it goes

TEST_P(TransactionTest, WhoseClientDiesAtAnyMomentLeavesNoHold) {
  Start({"a", "b", "c"});
  Fund();
  for (int64_t step = 0; step < 60; ++step) {
    const std::string name = "asker" + std::to_string(step);
    auto& asker = cluster_->AddClient(name);
    cluster_->Await(asker.Connected(absl::Seconds(5)).then([] { return 0; }));
    auto asked = asker.Transact(Moving("p0", "p1", 1), {.limit = absl::Seconds(1)})
                     .AsPromise()
                     .catch_([](kj::Exception&&) {})
                     .eagerlyEvaluate(nullptr);
    cluster_->Run(absl::Microseconds(200 * step));
    cluster_->RemoveClient(name);
    const absl::Time began = cluster_->world().Now();
    const int64_t first = Balance("p0"), second = Balance("p1");
    EXPECT_EQ(first + second, 2 * kMoney) << "step " << step;
    EXPECT_LT(cluster_->world().Now() - began, absl::Seconds(5)) << "step " << step;
  }
  EXPECT_LT(Balance("p0"), kMoney);  // The last ones came about.
}

TEST_P(TransactionTest, ThatIsDroppedLetsGoAtOnce) {
  Start({"a", "b", "c"});
  Fund();
  {
    auto dropped = client_->Transact([&](Transaction& tx) -> Task<void> {
      co_await tx.Get<Purse>("p0").Withdraw(1);
      co_await tx.Get<Purse>("p1").Deposit(1);
      co_await kj::Promise<void>(kj::NEVER_DONE);
    });
    cluster_->Run(absl::Seconds(1));
  }
  const absl::Time began = cluster_->world().Now();
  EXPECT_EQ(Balance("p0"), kMoney);
  EXPECT_EQ(Balance("p1"), kMoney);
  EXPECT_LT(cluster_->world().Now() - began, absl::Seconds(1));
}

// ---- Whatever happens

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
  void Go(Task<void> task) {
    going_.push_back(kj::mv(task).AsPromise().eagerlyEvaluate(nullptr));
  }
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
  EXPECT_GT(traffic_.moved, 100u) << traffic_.last_error;
  EXPECT_GT(traffic_.audited, 20u) << traffic_.last_error;
}

TEST_P(TransactionStormTest, NobodySeesAHalfThoughHoldsEndAllTheTime) {
  const auto found =
      WrongThroughKills(kNoMutations, GetParam(), {.limit = absl::Milliseconds(10)});
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
INSTANTIATE_TEST_SUITE_P(Seeds, TransactionTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
