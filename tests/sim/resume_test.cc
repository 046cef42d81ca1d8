// What is finished in Resume() through kills: transfers are whole, whoever dies, and money is
// neither made nor lost.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "../seeds.h"
#include "courier.h"
#include "transfers.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"

namespace troupe {
namespace {

class ResumeTest : public Transfers<Courier> {
 protected:
  ResumeTest() { registry_.Host<CourierActor>(); }

  struct Sums {
    uint64_t balance = 0;
    uint64_t pending = 0;
  };
  Sums Read(sim::Cluster& cluster, Client& client) {
    Sums sums;
    for (int i = 0; i < kAccounts; ++i) {
      auto account = At(client, static_cast<uint64_t>(i));
      const auto reply = cluster.Await(account.Balance());
      sums.balance += reply.balance;
      sums.pending += reply.pending;
    }
    return sums;
  }
  // Accounts are read one after another, so only what two readings agree on was so at one moment.
  Sums ReadWhenDone(sim::Cluster& cluster, Client& client) {
    Sums before, sums = Read(cluster, client);
    for (int i = 0; i < 300; ++i) {
      cluster.Run(absl::Milliseconds(200));
      before = std::exchange(sums, Read(cluster, client));
      if (sums.pending + before.pending == 0 && sums.balance == before.balance) break;
    }
    return sums;
  }
};

TEST_P(ResumeTest, TransfersAreWholeThoughNodesAndTheAskingClientDie) {
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  TransferThroughKills(cluster);
  if (HasFatalFailure()) return;
  const Sums sums = ReadWhenDone(cluster, teller);
  EXPECT_EQ(sums.pending, 0u) << "seed " << GetParam();
  EXPECT_EQ(sums.balance, kAccounts * kMoney) << "seed " << GetParam();
}

// Each payer numbers its transfers from 1 on. When two of them paid the same amount to the same
// payee under the same number at the same time, the payee took the second call for the first one.
TEST_P(ResumeTest, PayersWhoUseTheSameNumberAreAllHeard) {
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  std::vector<kj::Promise<void>> asked;
  for (uint64_t i = 1; i < kAccounts; ++i) {
    auto payer = At(teller, i);
    asked.push_back(payer.Deposit(13).AsPromise().ignoreResult());
    asked.push_back(payer.Transfer(At(teller, 0), 13).AsPromise().ignoreResult());
  }
  for (auto& promise : asked) cluster.Await(kj::mv(promise));
  const Sums sums = ReadWhenDone(cluster, teller);
  EXPECT_EQ(sums.pending, 0u);
  EXPECT_EQ(sums.balance, (kAccounts - 1) * 13u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ResumeTest, ::testing::ValuesIn(SeedsOr(1, 10)));

}  // namespace
}  // namespace troupe
