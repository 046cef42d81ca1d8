// Durable types where a cluster or a past ends: what their disks have of it goes, and holds up
// nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../seeds.h"
#include "recovery_fixture.h"
#include "troupe/actors/shard_of.h"
#include "troupe/runtime/sim_record_store.h"
#include "vault.h"

namespace troupe {
namespace {

class DurableRecoveryTest : public RecoveryFixture {
 protected:
  DurableRecoveryTest() { registry_.Host<VaultActor>(); }

  static void ExpectDone(const OperatorReply& reply) {
    ASSERT_TRUE(reply.status.ok()) << reply.status;
  }
  uint64_t Deposit(const std::string& key, uint64_t amount) {
    return cluster_->Await(client_->Get<Vault>(key).Deposit(amount));
  }
  uint64_t Balance(const std::string& key) {
    return cluster_->Await(client_->Get<Vault>(key).Balance());
  }
  ShardId ShardOfVault(const std::string& key) {
    return ShardOf({capnp::typeId<Vault>(), key}, *cluster_->NewestMap());
  }
  std::string PrimaryOf(const std::string& key) {
    return cluster_->PrimaryOf({capnp::typeId<Vault>(), key});
  }

  std::string why_;  // The lone one ended.
};

// The disk has what the lone cluster's shards came to, though they were empty.
TEST_P(DurableRecoveryTest, ALoneFounderThatHasAnsweredNothingJoinsTheClusterThatListsIt) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Deposit("x", 1), 1u);
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(3));
  cluster_->Cut("c", "a");
  cluster_->Cut("c", "b");
  Node& c = StartAlone();
  tasks_.add(c.Failed().catch_([this](kj::Exception&& e) { why_ = Words(e); }));
  ASSERT_TRUE(cluster_->RunUntil([&] { return c.ready(); }));
  cluster_->Run(absl::Seconds(3));
  EXPECT_FALSE(cluster_->world().disk("c").record_store().contents().empty());
  cluster_->Heal();
  const Id128 meant = cluster_->node("a").membership().map()->cluster;
  ASSERT_TRUE(cluster_->RunUntil([&] {
    const auto map = c.membership().map();
    return !why_.empty() || (c.ready() && map && map->cluster == meant);
  })) << cluster_->Describe();
  cluster_->Run(absl::Seconds(15));
  EXPECT_EQ(why_, "");
  EXPECT_EQ(c.membership().notice(), "");
  EXPECT_EQ(Deposit("x", 1), 2u);
}

// P3.1: what was given up stays so, whatever disks come back.
TEST_P(DurableRecoveryTest, ADiskOfAPastThatWasGivenUpIsEmptied) {
  auto options = Options();
  options.config.replicas = 1;
  Start({"a", "b", "c"}, options);
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_EQ(Deposit("x", 1), i);
  const std::string holder = PrimaryOf("x");
  const ShardId shard = ShardOfVault("x");
  const std::string asked = holder == "a" ? "b" : "a";
  cluster_->PowerOff(holder, SimDiskAfter::kKeep);
  ASSERT_TRUE(
      cluster_->RunUntil([&] { return cluster_->NewestMap()->shards[shard].primary == 0; }));
  ExpectDone(Ask(asked, OperatorRequest::Kind::kDeclareLost, {shard}));
  ExpectDone(Ask(asked, OperatorRequest::Kind::kRecoverShards, {shard}));
  ASSERT_TRUE(
      cluster_->RunUntil([&] { return cluster_->NewestMap()->shards[shard].primary != 0; }));
  cluster_->Run(absl::Seconds(1));  // The client hears of it.
  EXPECT_EQ(Deposit("x", 10), 10u);

  // The others leave: what there is of the new past comes to the old disk.
  cluster_->Restart(holder);
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  for (const auto& name : std::vector(cluster_->names())) {
    if (name != holder) cluster_->Leave(name);
  }
  ASSERT_TRUE(cluster_->Settle(absl::Minutes(1))) << cluster_->Describe();
  ASSERT_EQ(PrimaryOf("x"), holder);
  EXPECT_EQ(Balance("x"), 10u);
  EXPECT_EQ(Deposit("x", 1), 11u);
  cluster_->PowerOff(holder, SimDiskAfter::kKeep);
  cluster_->Restart(holder);
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Balance("x"), 11u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DurableRecoveryTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
