// Durable types: what was answered is there though all nodes end, as long as their disks do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "../seeds.h"
#include "cluster_fixture.h"
#include "transfers.h"
#include "troupe/runtime/sim_record_store.h"
#include "vault.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

class DurableTest : public Transfers<Vault> {
 protected:
  DurableTest() { registry_.Host<VaultActor>(); }

  static void PowerOffAll(sim::Cluster& cluster, Random& random, absl::Duration apart) {
    for (const auto& name : Shuffled(cluster, random)) {
      cluster.PowerOff(name, SimDiskAfter::kKeep);
      if (apart > absl::ZeroDuration()) cluster.Run(random.Below(1000) * apart / 1000);
    }
  }
  static void RestartAll(sim::Cluster& cluster, Random& random) {
    for (const auto& name : Shuffled(cluster, random)) {
      cluster.Restart(name);
      cluster.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(800))));
    }
  }
  static std::vector<std::string> Shuffled(sim::Cluster& cluster, Random& random) {
    auto names = cluster.names();
    for (size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[random.Below(i)]);
    return names;
  }
};

TEST_P(DurableTest, TransfersAreWholeThoughAllNodesLosePowerAtOnce) {
  sim::Cluster cluster({.seed = GetParam(), .workers = 1 + GetParam() % 2}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  Fund(cluster, teller);
  Random random(GetParam());
  for (int round = 0; round < 3; ++round) {
    kj::TaskSet asked(errors_);
    for (int i = 0; i < 25; ++i) asked.add(Transfer(teller, random));
    cluster.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(12))));
    PowerOffAll(cluster, random, round == 2 ? absl::Seconds(2) : absl::ZeroDuration());
    cluster.Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
    RestartAll(cluster, random);
    ASSERT_TRUE(cluster.Settle()) << cluster.Describe() << "\nseed " << GetParam();
  }
  EXPECT_EQ(ReadWhenDone(cluster, teller), kAccounts * kMoney) << "seed " << GetParam();
}

// Through faults of all kinds, and at the end the power goes.
TEST_P(DurableTest, MoneyIsConservedThroughAStorm) {
  sim::Cluster cluster({.seed = GetParam()}, registry_);
  auto& teller = cluster.AddClient("teller");
  ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
  TransferThroughAStorm(cluster, [&](Random& random) {
    PowerOffAll(cluster, random, absl::ZeroDuration());
    RestartAll(cluster, random);
  });
  if (HasFatalFailure()) return;
  EXPECT_EQ(ReadWhenDone(cluster, teller), kAccounts * kMoney) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, DurableTest, ::testing::ValuesIn(SeedsOr(1, 10)));

// ---- Disks

class DiskTest : public ClusterFixture {
 protected:
  DiskTest() { registry_.Host<VaultActor>(); }

  Vault::Ref At(const std::string& key) { return client_->Get<Vault>(key); }
  uint64_t Deposit(const std::string& key, uint64_t amount) {
    return cluster_->Await(At(key).Deposit(amount));
  }
  uint64_t Balance(const std::string& key) { return cluster_->Await(At(key).Balance()); }
  std::string PrimaryOf(const std::string& key) {
    return cluster_->PrimaryOf({capnp::typeId<Vault>(), key});
  }
};

TEST_P(DiskTest, OfOneNodeKeepsWhatWasAnsweredWhenItsMemoryIsGone) {
  Start({"a"});
  for (uint64_t i = 1; i <= 300; ++i) EXPECT_EQ(Deposit("x", 1), i);
  cluster_->Await(At("big").Fill(100'000));
  for (uint64_t i = 1; i <= 20; ++i) EXPECT_EQ(Deposit("big", 1), i);
  cluster_->PowerOff("a", SimDiskAfter::kKeep);
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Balance("x"), 300u);
  EXPECT_EQ(Balance("big"), 20u);
  EXPECT_EQ(Deposit("x", 1), 301u);
}

TEST_P(DiskTest, TypesInMemoryAreLostWithAllNodesAndDurableOnesBesideThemAreNot) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("memory"), 1u);
  EXPECT_EQ(Deposit("disk", 1), 1u);
  for (const auto& name : cluster_->names()) cluster_->PowerOff(name, SimDiskAfter::kKeep);
  for (const auto& name : cluster_->names()) cluster_->Restart(name);
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Deposit("disk", 1), 2u);
  const auto error = ErrorOf(client_->Get<Counter>("memory").getRequest().send().ignoreResult());
  EXPECT_THAT(error, HasSubstr("StateLost"));
}

TEST_P(DiskTest, ThatFailsEndsItsNodeAndTheOthersGoOn) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Deposit("x", 1), 1u);
  const std::string primary = PrimaryOf("x");
  cluster_->world().disk(primary).Set(SimDiskFault::kFail);
  EXPECT_EQ(Deposit("x", 1), 2u);
  EXPECT_THAT(cluster_->WhyEnded(primary), HasSubstr("state of durable types cannot be kept"));
  cluster_->world().disk(primary).Clear(SimDiskFault::kFail);
  cluster_->Restart(primary);
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Deposit("x", 1), 3u);
}

// P3.19: nobody waits for ever for a disk that does nothing.
TEST_P(DiskTest, ThatStandsStillIsDoneWithout) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Deposit("x", 1), 1u);
  const std::string primary = PrimaryOf("x");
  for (bool leader : {false, true}) {
    std::string slow = primary;
    for (const auto& name : cluster_->names()) {
      if (!leader && name != primary) slow = name;
    }
    cluster_->world().disk(slow).Set(SimDiskFault::kStall);
    const absl::Time began = cluster_->world().Now();
    EXPECT_EQ(Deposit("x", 1), leader ? 4u : 2u);
    EXPECT_LT(cluster_->world().Now() - began, absl::Seconds(6));
    EXPECT_EQ(Deposit("x", 1), leader ? 5u : 3u);
    EXPECT_EQ(PrimaryOf("x") == primary, !leader);
    cluster_->world().disk(slow).Clear(SimDiskFault::kStall);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
}

TEST_P(DiskTest, ThatIsDamagedEndsTheNodeThatReadsItWithAdvice) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Deposit("x", 1), 1u);
  cluster_->PowerOff("a", SimDiskAfter::kKeep);
  auto& records = cluster_->world().disk("a").record_store();
  ASSERT_FALSE(records.contents().empty());
  records.Damage(records.contents().rbegin()->first);
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->RunUntil([&] { return !cluster_->WhyEnded("a").empty(); }));
  EXPECT_THAT(cluster_->WhyEnded("a"), HasSubstr("on disk cannot be used"));
  EXPECT_EQ(Deposit("x", 1), 2u);
  cluster_->world().disk("a").Erase();
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Deposit("x", 1), 3u);
}

// Whoever has its place in the map, and not what it held, must not take it.
TEST_P(DiskTest, OfWhichTheRecordsAreGoneIsNotTakenForInSync) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Deposit("x", 1), 1u);
  for (const auto& name : cluster_->names()) cluster_->PowerOff(name, SimDiskAfter::kKeep);
  cluster_->world().disk("a").record_store().Lose();
  const auto started = cluster_->TryRestart("a");
  EXPECT_THAT(std::string(started.message()),
              HasSubstr("the folder \"records\" of the data directory is gone"));
  cluster_->world().disk("a").Erase();
  for (const auto& name : cluster_->names()) cluster_->Restart(name);
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Deposit("x", 1), 2u);
}

TEST_P(DiskTest, IsNeededToHostADurableType) {
  auto options = Options();
  options.diskless = {"d"};
  Start({"a", "b", "c"}, options);
  EXPECT_THROW(cluster_->Add("d"), kj::Exception);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DiskTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
