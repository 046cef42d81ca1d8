// Transactions over several actors: what they do and refuse, and those who meet.
#include "../seeds.h"
#include "purse_fixture.h"
#include "troupe/actors/transaction_message.h"

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
  EXPECT_EQ(Wait(client_->Transact([](Transaction& tx) { return SumBody(tx); })), kAll);
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
  EXPECT_THAT(
      ErrorOfTry("erase"),
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
  EXPECT_THAT(
      ErrorOfTransact([](Transaction&) -> Task<void> { co_return; }, {.limit = absl::Minutes(2)}),
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

TEST_P(TransactionTest, AnObserverIsNoParticipant) {
  Start({"a", "b", "c"});
  auto observer = client_->Observe<PurseActor>();
  EXPECT_THAT(ErrorOfTransact([&](Transaction& tx) -> Task<void> {
                co_await tx.Get(observer.ref()).Deposit(1);
              }),
              HasSubstr("an observer cannot be part of a transaction"));
}

TEST_P(TransactionTest, AClientHasSoManyAtATime) {
  Start({"a", "b", "c"});
  std::vector<Task<void>> many;
  auto begin = [&] {
    many.push_back(client_->Transact(
        [](Transaction&) -> Task<void> { co_await kj::Promise<void>(kj::NEVER_DONE); }));
  };
  for (int i = 0; i < 256; ++i) begin();
  std::string text;
  try {
    begin();
  } catch (const kj::Exception& e) {
    text = Words(e);
  }
  EXPECT_THAT(text, HasSubstr("256 transactions of this client are under way; begin more later"));
  many.clear();
  Wait(client_->Transact(Moving("p0", "p1", 0)));
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
                    ->Transact([&](Transaction& tx) -> Task<void> {
                      co_await tx.Get<Purse>("p0").Deposit(1);
                      auto pause = After(absl::Seconds(8));
                      co_await pause;
                    })
                    .AsPromise()
                    .eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(500));
  EXPECT_THAT(ErrorOfTransact(Moving("p0", "p1", 1), {.deadline = absl::Seconds(2)}),
              AllOf(HasSubstr("the transaction did not come about within "), HasSubstr(" runs: "),
                    HasSubstr("it waits for Purse/p0; transaction "),
                    HasSubstr(", which began with Purse/p0, has held it for ")));
  EXPECT_THAT(
      ErrorOf(At("p0").WithDeadline(absl::Seconds(1)).Deposit(1).AsPromise().ignoreResult()),
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

// However many others wait for the actor.
TEST_P(TransactionTest, ItsOwnCallsFindRoomInAFullMailbox) {
  Start({"a", "b", "c"});
  Fund();
  std::vector<kj::Promise<void>> others;
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Purse>("p0").Deposit(1);
    for (int c = 0; c < 6; ++c) {
      auto& other = cluster_->AddClient("other" + std::to_string(c));
      for (int i = 0; i < 250; ++i) {
        others.push_back(other.Get<Purse>("p0").Deposit(0).AsPromise().ignoreResult().catch_(
            [](kj::Exception&&) {}));
      }
    }
    auto pause = After(absl::Seconds(1));
    co_await pause;
    EXPECT_THAT(ErrorOf(At("p0").Deposit(1).AsPromise().ignoreResult()),
                AllOf(HasSubstr("the mailbox of Purse/p0 is full"),
                      HasSubstr("which began with Purse/p0, has held it for 1")));
    co_await tx.Get<Purse>("p0").Deposit(1);
  }));
  for (auto& other : others) Wait(Task<void>(kj::mv(other)));
  EXPECT_EQ(Balance("p0"), kMoney + 2);
}

TEST_P(TransactionTest, AHeldActorMovesWithItsHold) {
  Start({"a", "b", "c"});
  Fund();
  const std::string left = PrimaryOf("p0");
  bool looked = false;
  kj::Promise<void> look = nullptr;
  Wait(client_->Transact([&](Transaction& tx) -> Task<void> {
    co_await tx.Get<Purse>("p0").Withdraw(10);
    look = At("p0")
               .Look()
               .AsPromise()
               .then([&](Purse::LookReply reply) {
                 looked = true;
                 EXPECT_EQ(reply.balance, kMoney - 11);
               })
               .eagerlyEvaluate(nullptr);
    cluster_->Leave(left);
    auto pause = After(absl::Seconds(3));
    co_await pause;
    EXPECT_FALSE(cluster_->has(left));
    EXPECT_FALSE(looked);
    co_await tx.Get<Purse>("p0").Withdraw(1);
    co_await tx.Get<Purse>("p1").Deposit(11);
  }));
  Wait(Task<void>(kj::mv(look)));
  EXPECT_EQ(PlainSum(), kAll);
  EXPECT_EQ(Balance("p0"), kMoney - 11);
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
                     .catch_([](kj::Exception&& e) {
                       EXPECT_EQ(e.getType(), kj::Exception::Type::DISCONNECTED) << Words(e);
                     })
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

INSTANTIATE_TEST_SUITE_P(Seeds, TransactionTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
