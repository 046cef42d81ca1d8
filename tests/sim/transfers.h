// Transfers: a cluster of accounts that pay each other, and transfers through kills. `Interface`
// has deposit and transfer, as the bank sample has.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/str_join.h"
#include "kj/async.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/nemesis.h"

namespace troupe {

inline constexpr int kAccounts = 6;
inline constexpr uint64_t kMoney = 1000;  // In each account at first.

template <typename Interface>
class Transfers : public ::testing::TestWithParam<uint64_t> {
 protected:
  static std::string Name(uint64_t account) { return "account" + std::to_string(account); }
  static typename Interface::Ref At(Client& client, uint64_t account) {
    return client.Get<Interface>(Name(account));
  }

  void Fund(sim::Cluster& cluster, Client& client) {
    for (uint64_t i = 0; i < kAccounts; ++i) cluster.Await(At(client, i).Deposit(kMoney));
  }
  kj::Promise<void> Transfer(Client& client, Random& random) {
    const uint64_t from = random.Below(kAccounts);
    const auto to = At(client, (from + 1 + random.Below(kAccounts - 1)) % kAccounts);
    return At(client, from).Transfer(to, 1 + random.Below(20)).AsPromise().ignoreResult();
  }
  // Nodes die while clients ask for transfers, and some of the clients too.
  void TransferThroughKills(sim::Cluster& cluster) {
    Random random(GetParam());
    Fund(cluster, cluster.client("teller"));
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
  }

  // One transfer after another, while faults of all kinds come and go; `then` what else is to
  // happen once they have.
  void TransferThroughAStorm(
      sim::Cluster& cluster, const std::function<void(Random&)>& then = [](Random&) {}) {
    Fund(cluster, cluster.client("teller"));
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
    auto settle = [&] {
      ASSERT_TRUE(cluster.Settle(absl::Minutes(2))) << cluster.Describe() << "\n"
                                                    << absl::StrJoin(storm.said(), "\n");
    };
    settle();
    then(random);
    open = false;
    settle();
    cluster.Await(kj::mv(transfers));
  }

  uint64_t Read(sim::Cluster& cluster, Client& client) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < kAccounts; ++i) sum += cluster.Await(At(client, i).Balance());
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

  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&&) override {}
  } errors_;
  Registry registry_;
};

}  // namespace troupe
