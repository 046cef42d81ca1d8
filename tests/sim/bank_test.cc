// The bank sample through kills: transfers are whole, whoever dies, and money is neither made nor
// lost.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "../seeds.h"
#include "absl/strings/str_join.h"
#include "account.h"
#include "transfers.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/nemesis.h"

namespace troupe {
namespace {

class BankTest : public Transfers<Account> {
 protected:
  BankTest() { registry_.Host<AccountActor>(); }

  uint64_t Read(sim::Cluster& cluster, Client& client) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < kAccounts; ++i) {
      sum += cluster.Await(At(client, i).Balance());
    }
    return sum;
  }
  // Once all that was transferred has arrived, and a while later: nothing arrives twice.
  uint64_t ReadWhenDone(sim::Cluster& cluster, Client& client) {
    for (int i = 0; i < 300 && Read(cluster, client) != kAccounts * kMoney; ++i) {
      cluster.Run(absl::Milliseconds(200));
    }
    cluster.Run(absl::Seconds(5));
    return Read(cluster, client);
  }
};

TEST_P(BankTest, TransfersAreWholeThoughNodesAndTheAskingClientDie) {
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  TransferThroughKills(cluster);
  if (HasFatalFailure()) return;
  EXPECT_EQ(ReadWhenDone(cluster, teller), kAccounts * kMoney) << "seed " << GetParam();
}

// One transfer after another, while faults of all kinds come and go. Some end with an error: then
// the caller does not know, but the money is somewhere all the same.
TEST_P(BankTest, MoneyIsConservedThroughAStorm) {
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  Fund(cluster, teller);

  Random random(GetParam());
  auto& customer = cluster.AddClient("customer");
  bool open = true;
  std::function<kj::Promise<void>()> transfer = [&]() -> kj::Promise<void> {
    if (!open) return kj::READY_NOW;
    return Transfer(customer, random).catch_([](kj::Exception&&) {}).then([&] {
      return transfer();
    });
  };
  auto transfers = transfer().eagerlyEvaluate(nullptr);

  sim::Arena arena(cluster, random.Fork("faults"));
  sim::Storm storm(arena, sim::DrawNemeses(arena.random));
  storm.Rage(absl::Seconds(6));
  storm.Heal();
  open = false;

  ASSERT_TRUE(cluster.Settle(absl::Minutes(2))) << cluster.Describe() << "\n"
                                                << absl::StrJoin(storm.said(), "\n");
  cluster.Await(kj::mv(transfers));
  EXPECT_EQ(ReadWhenDone(cluster, teller), kAccounts * kMoney) << "seed " << GetParam();
}

// TROUPE_SEEDS=1..500 runs more.
// 737: a verdict of death was refuted while the coordinator still asked the one it was about, stood
// for ever, and the coordinator, which counted a living voter as gone, did nothing more.
INSTANTIATE_TEST_SUITE_P(Found, BankTest, ::testing::Values(uint64_t{737}));

INSTANTIATE_TEST_SUITE_P(Seeds, BankTest, ::testing::ValuesIn(SeedsOr(1, 20)));

}  // namespace
}  // namespace troupe
