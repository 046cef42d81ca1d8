// What is finished in Resume() through kills: transfers are whole, whoever dies, and money is
// neither made nor lost.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "../seeds.h"
#include "courier.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"

namespace troupe {
namespace {

constexpr int kAccounts = 6;
constexpr uint64_t kMoney = 1000;  // In each account at first.

std::string Name(uint64_t account) { return "account" + std::to_string(account); }

class ResumeTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ResumeTest() { registry_.Host<CourierActor>(); }

  struct Sums {
    uint64_t balance = 0;
    uint64_t pending = 0;
  };
  Sums Read(sim::Cluster& cluster, Client& client) {
    Sums sums;
    for (int i = 0; i < kAccounts; ++i) {
      auto account = client.Get<Courier>(Name(static_cast<uint64_t>(i)));
      const auto reply = cluster.Await(account.Balance());
      sums.balance += reply.balance;
      sums.pending += reply.pending;
    }
    return sums;
  }
  void Fund(sim::Cluster& cluster, Client& client) {
    for (uint64_t i = 0; i < kAccounts; ++i) {
      cluster.Await(client.Get<Courier>(Name(i)).Deposit(kMoney));
    }
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
  kj::Promise<void> Transfer(Client& client, Random& random) {
    const uint64_t from = random.Below(kAccounts);
    const auto to = client.Get<Courier>(Name((from + 1 + random.Below(kAccounts - 1)) % kAccounts));
    return client.Get<Courier>(Name(from))
        .Transfer(to, 1 + random.Below(20))
        .AsPromise()
        .ignoreResult();
  }

  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&&) override {}
  } errors_;
  Registry registry_;
};

TEST_P(ResumeTest, TransfersAreWholeThoughNodesAndTheAskingClientDie) {
  Random random(GetParam());
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  Fund(cluster, teller);
  for (int round = 0; round < 4; ++round) {
    const std::string name = "asker" + std::to_string(round);
    auto& asker = cluster.AddClient(name);
    {
      kj::TaskSet asked(errors_);
      for (int i = 0; i < 25; ++i) asked.add(Transfer(asker, random));
      cluster.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(12))));
      const std::string victim = cluster.names()[random.Below(3)];
      cluster.Kill(victim);
      if (random.Chance(0.5)) cluster.RemoveClient(name);  // Dies with calls under way.
      cluster.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
      cluster.Restart(victim);
    }
    ASSERT_TRUE(cluster.Settle()) << cluster.Describe() << "\nseed " << GetParam();
  }
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
    auto payer = teller.Get<Courier>(Name(i));
    asked.push_back(payer.Deposit(13).AsPromise().ignoreResult());
    asked.push_back(payer.Transfer(teller.Get<Courier>(Name(0)), 13).AsPromise().ignoreResult());
  }
  for (auto& promise : asked) cluster.Await(kj::mv(promise));
  const Sums sums = ReadWhenDone(cluster, teller);
  EXPECT_EQ(sums.pending, 0u);
  EXPECT_EQ(sums.balance, (kAccounts - 1) * 13u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ResumeTest, ::testing::ValuesIn(SeedsOr(1, 10)));

}  // namespace
}  // namespace troupe
