// Roles on whole clusters: clerks are of a role that only some nodes have.
#include <algorithm>

#include "capnp/rpc-twoparty.h"
#include "clerk.h"
#include "cluster_fixture.h"
#include "troupe/actors/gateway.capnp.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

// One program on all nodes: counters for all, clerks for the role "office".
class RolesTest : public ClusterFixture {
 protected:
  RolesTest() {
    registry_.Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); },
                               {.role = "office"});
  }

  uint64_t AddAtClerk(const std::string& key) {
    return cluster_->Await(client_->Get<Clerk>(key).Add(1));
  }
  kj::Promise<void> AskClerk(const std::string& key) {
    return client_->Get<Clerk>(key).Add(1).AsPromise().ignoreResult();
  }
  std::string PrimaryOfClerk(const std::string& key) {
    return cluster_->PrimaryOf({capnp::typeId<Clerk>(), key});
  }
  size_t CopiesOn(const std::string& node, const std::string& role) {
    const auto map = cluster_->NewestMap();
    size_t copies = 0;
    for (ShardId id = 0; id < map->shards.size(); ++id) {
      const auto& shard = map->shards[id];
      if (map->roles[map->RoleOf(id)].name != role) continue;
      for (const auto* set : {&shard.isr, &shard.elr, &shard.learners}) {
        copies += std::count(set->begin(), set->end(), map->FindNode(node)->boot);
      }
    }
    return copies;
  }

  ClerkOffice office_;
};

TEST_P(RolesTest, HaveTheirActorsOnTheirNodesAlone) {
  auto options = Options();
  options.roles = {
      {"a", {"default"}}, {"b", {"default"}}, {"c", {"default", "office"}}, {"d", {"office"}}};
  Start({"a", "b", "c", "d"}, options);
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(AddAtClerk(key), 1u);
    EXPECT_EQ(Add(key), 1u);
    EXPECT_THAT((std::set<std::string>{"c", "d"}), testing::Contains(PrimaryOfClerk(key)));
    EXPECT_NE(cluster_->PrimaryOf(CounterId(key)), "d");
  }
  EXPECT_EQ(CopiesOn("a", "office"), 0u);
  EXPECT_EQ(CopiesOn("d", "default"), 0u);
  EXPECT_EQ(CopiesOn("d", "office"), 16u);
}

TEST_P(RolesTest, ThatComeLaterGetShardsAndLoseNothingThroughKills) {
  auto options = Options();
  for (const char* node : {"a", "b", "c"}) options.roles[node] = {"default"};
  for (const char* node : {"d", "e"}) options.roles[node] = {"office"};
  Start({"a", "b", "c"}, options);
  Traffic traffic;
  DriveMany(traffic, 10);
  EXPECT_THAT(ErrorOf(AskClerk("x")), HasSubstr("hosted are: Counter"));
  for (const char* node : {"d", "e"}) {
    cluster_->Add(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  std::map<std::string, uint64_t> answered;
  for (const char* victim : {"d", "a", "e", "c"}) {
    for (int i = 0; i < 10; ++i) {
      const std::string key = "k" + std::to_string(i);
      EXPECT_EQ(AddAtClerk(key), ++answered[key]) << key;
    }
    cluster_->Kill(victim);
    cluster_->Run(absl::Seconds(1));
    for (int i = 0; i < 10; ++i) {
      const std::string key = "k" + std::to_string(i);
      EXPECT_EQ(AddAtClerk(key), ++answered[key]) << key;
    }
    cluster_->Restart(victim);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_EQ(CopiesOn("a", "office"), 0u);
  EXPECT_EQ(CopiesOn("d", "default"), 0u);
  StopAndCheck(traffic);
}

// The program has the type; the node does not.
TEST_P(RolesTest, ATypeIsNotRunWhereItsRoleIsNotTaken) {
  auto options = Options();
  for (const char* node : {"a", "b", "c"}) options.roles[node] = {"default"};
  Start({"a", "b", "c"}, options);
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(ErrorOf(AskClerk("x" + std::to_string(i))), HasSubstr("are hosted by any node"));
  }
  EXPECT_EQ(office_.objects, 0u);
}

TEST_P(RolesTest, AGatewayReachesActorsOfRolesThatItsNodeDoesNotHave) {
  auto options = Options();
  options.roles = {{"a", {"default"}}, {"b", {"default"}}, {"c", {"office"}}};
  Start({"a", "b", "c"}, options);
  auto& network = cluster_->world().machine("client").control().network();
  auto dialed = cluster_->Await(network.Dial(cluster_->AddressOf("c"), absl::Seconds(1)));
  capnp::TwoPartyClient connection(*dialed.stream);
  auto ask = connection.bootstrap().castAs<gateway::Node>().actorRequest();
  ask.setType(capnp::typeId<Counter>());
  ask.setKey(kj::StringPtr("k").asBytes());
  auto add = ask.send().getActor().castAs<Counter>().addRequest();
  add.setBy(3);
  EXPECT_EQ(cluster_->Await(add.send().then([](auto&& reply) { return reply.getValue(); })), 3u);
  EXPECT_EQ(Get("k"), 3u);
}

TEST_P(RolesTest, ARoleThatTheProgramDoesNotHaveIsAnErrorAtStart) {
  Start({"a", "b", "c"});
  cluster_->Kill("c");
  auto options = Options();
  options.nodes = {"x"};
  options.roles["x"] = {"offce"};
  cluster_ = nullptr;
  try {
    sim::Cluster cluster(options, registry_);
    ADD_FAILURE() << "it starts";
  } catch (const kj::Exception& e) {
    EXPECT_THAT(kj::str(e).cStr(),
                HasSubstr("hosts no types of role offce; its roles are default, office"));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RolesTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
