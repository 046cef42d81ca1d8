// What an operator may decide, on whole clusters: lost shards, a lost register, a lone founder.
#include "recovery_fixture.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/register_codec.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RecoveryTest : public RecoveryFixture {
 protected:
  SharedMap Map(const std::string& node) { return cluster_->node(node).membership().map(); }
  std::vector<ShardId> Shards(ShardState state) {
    std::vector<ShardId> out;
    const auto map = cluster_->NewestMap();
    for (ShardId id = 0; id < map->shards.size(); ++id) {
      if (map->shards[id].state == state) out.push_back(id);
    }
    return out;
  }
  void Fill() {
    for (int i = 0; i < 20; ++i) Add("k" + std::to_string(i), static_cast<uint64_t>(i) + 1);
  }
  // Of a, b and c only c is left.
  void LoseAMajority() {
    Start({"a", "b", "c"});
    Fill();
    cluster_->Kill("a");
    cluster_->Kill("b");
    cluster_->Run(absl::Seconds(8));
  }
  // Nobody waits for the answer.
  void BeginToRecover(const std::string& node) {
    auto& host = cluster_->world().machine("client").control();
    tasks_.add(AskNode(host, cluster_->AddressOf(node), "troupe",
                       {OperatorRequest::Kind::kNewGeneration, {}}, absl::Seconds(20))
                   .ignoreResult()
                   .catch_([](kj::Exception&&) {}));
  }
  void ExpectAllThere() {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(Get("k" + std::to_string(i)), static_cast<uint64_t>(i) + 1) << i;
    }
  }
};

class FounderTest : public RecoveryTest {};

constexpr auto kRecoverShards = OperatorRequest::Kind::kRecoverShards;
constexpr auto kDeclareLost = OperatorRequest::Kind::kDeclareLost;
constexpr auto kNewGeneration = OperatorRequest::Kind::kNewGeneration;

TEST_P(RecoveryTest, OfALostMajorityGoesOnWithWhatTheSurvivorHolds) {
  LoseAMajority();
  const auto reply = Ask("c", kNewGeneration);
  ASSERT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.generation, 2u);
  EXPECT_THAT(reply.shards, IsEmpty());
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Map("c")->voters.size(), 1u);
  ExpectAllThere();
  EXPECT_EQ(Add("new"), 1u);
  // Those who died come back as new nodes, with or without what they had on disk.
  cluster_->Restart("a");
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(Map("a")->generation, 2u);
  EXPECT_EQ(Map("a")->voters.size(), 3u);
  ExpectAllThere();
}

TEST_P(RecoveryTest, OfARegisterThatIsWellIsRefused) {
  Start({"a", "b", "c"});
  auto reply = Ask("a", kNewGeneration);
  EXPECT_THAT(std::string(reply.status.message()), HasSubstr("a quorum of the voters answers"));
  cluster_->Kill("b");
  cluster_->Run(absl::Seconds(3));
  reply = Ask("a", kNewGeneration);
  EXPECT_TRUE(absl::IsFailedPrecondition(reply.status)) << reply.status;
  EXPECT_EQ(Map("a")->generation, 1u);
}

TEST_P(RecoveryTest, PutsOutThoseWhoWereOnlyCutOffAndTheyJoinAnew) {
  Start({"a", "b", "c"});
  Fill();
  cluster_->Isolate("a");
  cluster_->Pause("b");
  cluster_->Run(absl::Seconds(8));
  cluster_->Heal();
  cluster_->Isolate("a");
  const auto reply = Ask("c", kNewGeneration);
  ASSERT_TRUE(reply.status.ok()) << reply.status;
  cluster_->Run(absl::Seconds(2));
  ExpectAllThere();
  cluster_->Heal();
  cluster_->Resume("b");
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  for (const std::string name : {"a", "b", "c"}) {
    EXPECT_EQ(Map(name)->generation, 2u) << name;
    EXPECT_TRUE(Map(name)->IsUp(cluster_->node(name).membership().boot())) << name;
  }
  EXPECT_GT(cluster_->node("a").membership().boot(), uint64_t{1} << 32);
  ExpectAllThere();
}

TEST_P(RecoveryTest, TriedByOneThatDiedIsNotTakenForTheNextOne) {
  Start({"a", "b", "c", "d", "e"});
  Fill();
  for (const std::string name : {"a", "b", "e"}) cluster_->Kill(name);
  cluster_->Run(absl::Seconds(8));
  // Founded by one of whom the other has not heard since it asked.
  BeginToRecover("c");
  ASSERT_TRUE(
      cluster_->world().RunUntil([&] { return Map("c")->generation == 2; }, absl::Seconds(20)));
  cluster_->Isolate("c");
  cluster_->Run(absl::Seconds(40));
  if (Map("d")->generation == 2) GTEST_SKIP() << "it was told just before";
  auto reply = Ask("d", kNewGeneration);
  ASSERT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.generation, 3u);
  cluster_->Run(absl::Seconds(5));
  cluster_->Heal();
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  EXPECT_EQ(Map("c")->generation, 3u);
  EXPECT_EQ(Map("d")->generation, 3u);
  EXPECT_EQ(Map("c")->version, Map("d")->version);
}

// Its vote for the new generation is on the disk; whether the map of it is depends on the seed.
TEST_P(FounderTest, GoesOnThoughTheFounderDiesAsSoonAsItHasVoted) {
  LoseAMajority();
  BeginToRecover("c");
  const auto voted = [&] {
    auto record = cluster_->world().machine("c").data_directory()->Read("acceptor");
    auto stored = DecodeStoredAcceptor(record.value().value());
    return stored.value().state.generation == 2;
  };
  ASSERT_TRUE(cluster_->world().RunUntil(voted, absl::Seconds(20)));
  cluster_->Kill("c", SimDiskAfter::kKeep);
  cluster_->Restart("c");
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  EXPECT_EQ(Map("c")->generation, 2u);
}

TEST_P(RecoveryTest, OfAnOldVoterWithItsDiskIsRefusedByTheNewGenerationUntilItForgets) {
  Start({"a", "b", "c"});
  Fill();
  cluster_->Kill("a", SimDiskAfter::kKeep);
  cluster_->Kill("b", SimDiskAfter::kKeep);
  cluster_->Run(absl::Seconds(8));
  ASSERT_TRUE(Ask("c", kNewGeneration).status.ok());
  cluster_->Restart("a");
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  EXPECT_EQ(Map("a")->generation, 2u);
  EXPECT_EQ(Map("b")->generation, 2u);
  ExpectAllThere();
}

TEST_P(RecoveryTest, DeclareLostAndRecoverStartShardsAgainEmpty) {
  auto options = Options();
  options.config = {.replicas = 1, .min_isr_setting = 1, .shards = 16};
  Start({"a", "b", "c"}, options);
  Fill();
  const std::string victim = cluster_->PrimaryOf(CounterId("k0"));
  const std::string other = victim == "a" ? "b" : "a";
  EXPECT_THAT(std::string(Ask(other, kRecoverShards).status.message()),
              HasSubstr("no shard is LOST"));
  EXPECT_THAT(std::string(Ask(other, kDeclareLost, {0}).status.message()),
              HasSubstr("served by a primary"));
  cluster_->Kill(victim);
  ASSERT_TRUE(cluster_->RunUntil([&] { return !Shards(ShardState::kNoPrimary).empty(); }));
  cluster_->Run(absl::Seconds(1));
  const auto waiting = Shards(ShardState::kNoPrimary);
  EXPECT_THAT(std::string(Ask(other, kRecoverShards, waiting).status.message()),
              HasSubstr("is not LOST"));
  const absl::Time asked = cluster_->world().machine("client").control().clock().Now();
  ASSERT_TRUE(Ask(other, kDeclareLost, waiting).status.ok());
  EXPECT_GE(cluster_->world().machine("client").control().clock().Now() - asked, absl::Seconds(2));
  EXPECT_EQ(Shards(ShardState::kLost), waiting);
  const auto recovered = Ask(other, kRecoverShards);
  ASSERT_TRUE(recovered.status.ok()) << recovered.status;
  EXPECT_EQ(recovered.shards, waiting);
  EXPECT_THAT(Shards(ShardState::kLost), IsEmpty());
  EXPECT_EQ(cluster_->NewestMap()->shards[waiting.front()].lineage, 2u);
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Add("k0"), 1u) << "it starts empty";
}

TEST_P(RecoveryTest, AShardsCommandSaysThatNoQuorumAnswers) {
  Start({"a", "b", "c"});
  cluster_->Kill("a");
  cluster_->Kill("b");
  cluster_->Run(absl::Seconds(5));
  EXPECT_THAT(std::string(Ask("c", kRecoverShards).status.message()),
              HasSubstr("no quorum of the voters answers"));
}

TEST_P(RecoveryTest, ALoneFounderThatHasAnsweredNothingJoinsTheClusterThatListsIt) {
  Start({"a", "b", "c"});
  Fill();
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(3));
  Node& c = StartAlone();
  const Id128 meant = Map("a")->cluster;
  ASSERT_TRUE(cluster_->RunUntil([&] {
    const auto map = c.membership().map();
    return c.ready() && map && map->cluster == meant && map->IsUp(c.membership().boot());
  })) << cluster_->Describe();
  cluster_->Run(absl::Seconds(5));
  EXPECT_EQ(c.membership().map()->voters.size(), 3u);
  EXPECT_EQ(c.membership().notice(), "");
  ExpectAllThere();
}

TEST_P(RecoveryTest, ALoneFounderThatHasAnsweredGoesOnAndSaysSo) {
  Start({"a", "b", "c"});
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(3));
  cluster_->Cut("c", "a");
  cluster_->Cut("c", "b");
  Node& c = StartAlone();
  ASSERT_TRUE(cluster_->RunUntil([&] { return c.ready(); }));
  const Id128 own = c.membership().map()->cluster;
  ASSERT_NE(own, Map("a")->cluster);
  ClientOptions to_c;
  to_c.nodes = {cluster_->AddressOf("c")};
  {
    Client client(cluster_->world().machine("client").control(), to_c);
    auto request = client.Get<Counter>("x").addRequest();
    request.setBy(7);
    EXPECT_EQ(cluster_->Await(request.send().then([](auto&& r) { return r.getValue(); })), 7u);
    cluster_->Heal();
    ASSERT_TRUE(cluster_->RunUntil([&] { return !c.membership().notice().empty(); }));
    EXPECT_THAT(c.membership().notice(), HasSubstr("founded a cluster alone"));
    cluster_->Run(absl::Seconds(5));
    EXPECT_EQ(c.membership().map()->cluster, own);
    auto again = client.Get<Counter>("x").getRequest();
    EXPECT_EQ(cluster_->Await(again.send().then([](auto&& r) { return r.getValue(); })), 7u);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FounderTest, ::testing::Range<uint64_t>(1, 13));
INSTANTIATE_TEST_SUITE_P(Seeds, RecoveryTest, ::testing::Range(uint64_t{1}, uint64_t{5}));

}  // namespace
}  // namespace troupe
