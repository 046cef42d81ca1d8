// What actors tell each other arrives once and in order, and what they persist in mid-turn stays.
#include "../seeds.h"
#include "cluster_fixture.h"
#include "giro.h"
#include "troupe/actors/shard_of.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TellTest : public ClusterFixture {
 protected:
  TellTest() {
    registry_.Host<GiroActor>([this] { return kj::heap<GiroActor>(office_); },
                              {.idle_timeout = absl::Milliseconds(300)});
  }

  Giro::Ref At(const std::string& key) { return client_->Get<Giro>(key); }
  Task<uint64_t> Pay(const std::string& from, const std::vector<std::string>& to,
                     uint64_t amount = 1) {
    return At(from).PayWith([&](Giro::PayParams::Builder params) {
      auto list = params.initTo(static_cast<unsigned>(to.size()));
      for (unsigned i = 0; i < list.size(); ++i) list.set(i, to[i]);
      params.setAmount(amount);
    });
  }
  Giro::LookReply Look(const std::string& key) { return cluster_->Await(At(key).Look()); }
  void KillPrimaryOf(const std::string& key) {
    cluster_->Kill(cluster_->PrimaryOf({capnp::typeId<Giro>(), key}));
  }
  bool Comes(const std::string& key, int64_t balance, absl::Duration limit = absl::Seconds(20)) {
    return cluster_->RunUntil([&] { return Look(key).balance == balance; }, limit);
  }

  // One payment by a node that its other copies do not hear. What the payee has by then.
  int64_t ArrivedWhileUnsafe(const ReplicaMutations& mutations) {
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c", "d", "e", "f"}, options);
    const auto map = cluster_->NewestMap();
    auto shard = [&](const std::string& key) -> const ShardEntry& {
      return map->shards[ShardOf({capnp::typeId<Giro>(), key}, *map)];
    };
    // Led by a node that keeps no copy of the payer.
    std::string payee;
    for (int i = 0; i < 1000; ++i) {
      payee = "payee" + std::to_string(i);
      const auto& mine = shard("payer").isr;
      if (std::ranges::find(mine, shard(payee).primary) == mine.end()) break;
    }
    Look(payee);
    const auto teller = map->FindBoot(shard("payer").primary)->name;
    for (CopyId copy : shard("payer").isr) {
      const auto other = map->FindBoot(copy)->name;
      if (other != teller) cluster_->Cut(teller, other);
    }
    auto paid = Pay("payer", {payee}).AsPromise().ignoreResult().eagerlyEvaluate(nullptr);
    cluster_->Run(absl::Milliseconds(50));
    const int64_t arrived = Look(payee).balance;
    cluster_->Heal();
    cluster_->Await(kj::mv(paid));
    EXPECT_TRUE(Comes(payee, 1));
    return arrived;
  }

  // Payments all along, while nodes die. What is wrong at the end: money made, lost, or in
  // disorder.
  uint64_t WrongThroughKills(const ReplicaMutations& mutations, int kills = 6) {
    constexpr int kAccounts = 9;
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    Random random(GetParam());
    auto name = [](uint64_t i) { return "g" + std::to_string(i); };
    bool stop = false;
    uint64_t running = 0, wrong = 0;
    std::function<kj::Promise<void>(uint64_t)> next = [&](uint64_t i) -> kj::Promise<void> {
      if (stop) {
        --running;
        return kj::READY_NOW;
      }
      std::vector<std::string> to;
      for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
        to.push_back(name((i + 1 + random.Below(kAccounts - 1)) % kAccounts));
      }
      auto pause = cluster_->world().machine("client").control().timer().afterDelay(
          static_cast<int64_t>(random.Below(30)) * kj::MILLISECONDS);
      return Pay(name(i), to, 1 + random.Below(9))
          .AsPromise()
          .ignoreResult()
          .then([] {}, [&](kj::Exception&&) { ++wrong; })
          .then([pause = kj::mv(pause)]() mutable { return kj::mv(pause); })
          .then([&, i] { return next(i); });
    };
    std::vector<kj::Promise<void>> payers;
    for (uint64_t i = 0; i < kAccounts; ++i) {
      ++running;
      payers.push_back(next(i).eagerlyEvaluate(nullptr));
    }
    for (int i = 0; i < kills; ++i) {
      cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(800))));
      const std::string victim = cluster_->names()[random.Below(3)];
      cluster_->Kill(victim);
      cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
      cluster_->Restart(victim);
      EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
    }
    stop = true;
    EXPECT_TRUE(cluster_->RunUntil([&] { return running == 0; }));
    auto sums = [&] {
      int64_t balance = 0;
      uint64_t disorder = 0;
      for (uint64_t i = 0; i < kAccounts; ++i) {
        const auto seen = Look(name(i));
        balance += seen.balance;
        disorder += seen.out_of_order;
      }
      return std::pair(balance, disorder);
    };
    // What was paid last has yet to arrive.
    for (int i = 0; i < 100 && sums().first != 0; ++i) cluster_->Run(absl::Milliseconds(100));
    const auto [balance, disorder] = sums();
    return wrong + disorder + (balance != 0 ? 1 : 0);
  }

  GiroOffice office_;
};

TEST_P(TellTest, ArrivesOnceAndInOrderThroughKills) {
  EXPECT_EQ(WrongThroughKills(kNoMutations), 0u);
}

TEST_P(TellTest, LeavesOnlyOnceWhatTheTurnChangedIsSafe) {
  EXPECT_EQ(ArrivedWhileUnsafe(kNoMutations), 0);
}

TEST_P(TellTest, ThatLeavesBeforeItIsSafeIsFoundOut) {
  ReplicaMutations mutations;
  mutations.told_early = true;
  EXPECT_EQ(ArrivedWhileUnsafe(mutations), 1);
}

TEST_P(TellTest, ThatIsNotPartOfTheBatchIsFoundOut) {
  ReplicaMutations mutations;
  mutations.told_outside_batch = true;
  EXPECT_GT(WrongThroughKills(mutations, 16), 0u);
}

TEST_P(TellTest, ThatCountsAsSettledBeforeItIsAnsweredIsFoundOut) {
  ReplicaMutations mutations;
  mutations.told_record_dropped = true;
  EXPECT_GT(WrongThroughKills(mutations, 16), 0u);
}

TEST_P(TellTest, ReachesManyAndItself) {
  Start({"a", "b", "c"});
  std::vector<std::string> all{"payer"};
  for (int i = 0; i < 200; ++i) all.push_back("p" + std::to_string(i));
  EXPECT_EQ(cluster_->Await(Pay("payer", all)), all.size());
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(Comes("p" + std::to_string(i), 1));
  EXPECT_TRUE(Comes("payer", -200));  // One of 201 went to itself.
  EXPECT_EQ(Look("payer").out_of_order, 0u);
}

TEST_P(TellTest, OfATurnThatFailsNothingLeaves) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(At("x").PayAndFail("y").AsPromise()), HasSubstr("told to fail"));
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(Look("y").balance, 0);
  EXPECT_EQ(Look("x").paid, 0u);
}

TEST_P(TellTest, GoesOnUntilWhoRefusesForNowHasTakenIt) {
  Start({"a", "b", "c"});
  office_.overloaded["y"] = 5;
  cluster_->Await(Pay("x", {"y", "y", "z"}));
  EXPECT_TRUE(Comes("z", 1));  // Nobody waits for another one.
  EXPECT_TRUE(Comes("y", 2));
  EXPECT_EQ(Look("y").out_of_order, 0u);
}

TEST_P(TellTest, EndsWithAnErrorThatIsForGood) {
  Start({"a", "b", "c"});
  office_.failing["y"] = 1;
  cluster_->Await(Pay("x", {"y"}));
  cluster_->Await(Pay("x", {"y"}));
  EXPECT_TRUE(Comes("y", 1));
  EXPECT_EQ(Look("y").out_of_order, 1u);  // It saw the second without the first.
}

TEST_P(TellTest, OutlivesWhoHasToldAndGoes) {
  Start({"a", "b", "c"});
  office_.overloaded["y"] = 6;
  office_.overloaded["z"] = 6;
  cluster_->Await(At("leaves").PayAndLeave("y", false));
  cluster_->Await(At("erased").PayAndLeave("z", true));
  cluster_->Run(absl::Milliseconds(20));
  cluster_->Kill("b");  // Whoever leads them by then goes on.
  EXPECT_TRUE(Comes("y", 1));
  EXPECT_TRUE(Comes("z", 1));
  EXPECT_EQ(Look("leaves").paid, 1u);
  EXPECT_EQ(Look("erased").paid, 0u);
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
}

TEST_P(TellTest, BeyondItsBoundFailsTheTurnThatTells) {
  Start({"a", "b", "c"});
  const std::vector<std::string> many(kOutboxMax + 1, "y");
  EXPECT_THAT(ErrorOf(Pay("x", many).AsPromise().ignoreResult()),
              HasSubstr("actor Giro/x cannot tell more: 4096 calls that were told wait"));
  EXPECT_EQ(Look("x").paid, 0u);
  EXPECT_EQ(Look("y").balance, 0);
}

// ---- Persisted()

TEST_P(TellTest, PersistedStaysThoughTheMethodFails) {
  Start({"a", "b", "c"});
  office_.fails_between_steps = true;
  EXPECT_THAT(ErrorOf(At("x").Walk().AsPromise().ignoreResult()), HasSubstr("stumbled"));
  EXPECT_EQ(Look("x").paid, 1u);
  EXPECT_TRUE(Comes("toll", 1));  // It was told before.
  office_.fails_between_steps = false;
  EXPECT_EQ(cluster_->Await(At("x").Walk()), 3u);
}

TEST_P(TellTest, ACallThatWasCutShortAfterPersistedIsNotRunAgain) {
  Start({"a", "b", "c"});
  office_.stops_between_steps = true;
  auto walked = At("x").Walk().AsPromise().ignoreResult().eagerlyEvaluate(nullptr);
  EXPECT_TRUE(Comes("toll", 1));  // So it is safe.
  office_.stops_between_steps = false;
  KillPrimaryOf("x");
  EXPECT_THAT(ErrorOf(kj::mv(walked)), HasSubstr("Interrupted: Giro.walk on Giro/x had begun"));
  EXPECT_EQ(office_.walks, 1u);
  EXPECT_EQ(cluster_->Await(At("x").Walk()), 3u);
}

TEST_P(TellTest, AResumableCallThatWasCutShortGoesOnFromWhatItPersisted) {
  Start({"a", "b", "c"});
  office_.stops_between_steps = true;
  auto walked = At("x").WalkOn().AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(200));
  office_.stops_between_steps = false;
  KillPrimaryOf("x");
  const auto reply = cluster_->Await(kj::mv(walked));
  EXPECT_EQ(reply.steps, 2u);
  EXPECT_TRUE(reply.interrupted);
  EXPECT_EQ(office_.walks, 2u);
  EXPECT_FALSE(cluster_->Await(At("x").WalkOn()).interrupted);
}

TEST_P(TellTest, PersistedInAReadIsRefused) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(At("x").Peek().AsPromise()),
              AllOf(HasSubstr("actor Giro/x called Persisted()"),
                    HasSubstr(" in a $Troupe.readOnly method")));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TellTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
