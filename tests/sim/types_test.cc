// Nodes of different programs in one cluster: rolling upgrades, and programs that do not belong.
#include "clerk.h"
#include "cluster_fixture.h"
#include "troupe/membership/hosted_types.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Counters are hosted by all programs; clerks by the newer.
class TypesTest : public ClusterFixture {
 protected:
  TypesTest() {
    newer_.Host<CounterActor>();
    for (Registry* registry : {&newer_, &other_}) {
      registry->Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); });
    }
  }

  kj::Promise<void> AddAtClerk(const std::string& key) {
    return client_->Get<Clerk>(key).Add(1).AsPromise().ignoreResult();
  }
  std::string PrimaryOfClerk(const std::string& key) {
    return cluster_->PrimaryOf({capnp::typeId<Clerk>(), key});
  }
  size_t CopiesOn(const std::string& node) {
    const auto map = cluster_->NewestMap();
    size_t copies = 0;
    for (const auto& shard : map->shards) {
      for (const auto* set : {&shard.isr, &shard.elr, &shard.learners}) {
        copies += std::count(set->begin(), set->end(), map->FindNode(node)->boot);
      }
    }
    return copies;
  }
  bool Ended(const std::string& node) {
    return cluster_->RunUntil([&] { return !cluster_->has(node); });
  }
  void Replace(const std::string& node, const Registry& program) {
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(500));
    cluster_->SetProgram(node, program);
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }

  void HostCountersAndClerks(Registry& registry, ActorTypeOptions options) {
    registry.Host<CounterActor>();
    registry.Host<ClerkActor>([this] { return kj::heap<ClerkActor>(office_); }, options);
  }
  uint64_t AddToClerk(const std::string& key) {
    return cluster_->Await(client_->Get<Clerk>(key).Add(1));
  }

  ClerkOffice office_;
  Registry newer_, other_, none_;  // Counters and clerks; clerks alone; nothing.
};

TEST_P(TypesTest, ANodeOfAnotherProgramIsRefusedAndNothingIsGivenToIt) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("k"), 1u);
  cluster_->SetProgram("x", other_);
  cluster_->Add("x");
  ASSERT_TRUE(Ended("x")) << cluster_->Describe();
  EXPECT_THAT(cluster_->WhyEnded("x"),
              AllOf(HasSubstr("node x hosts Clerk, but node a hosts Counter"),
                    HasSubstr("a cluster of its own")));
  EXPECT_EQ(cluster_->NewestMap()->FindNode("x"), nullptr);
  EXPECT_EQ(Add("k"), 2u);
}

TEST_P(TypesTest, ARollingUpgradeThatAddsATypeLosesAndDoublesNothing) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 10);
  for (const char* node : {"a", "b", "c"}) Replace(node, newer_);
  for (int i = 0; i < 10; ++i) cluster_->Await(AddAtClerk("c" + std::to_string(i)));
  EXPECT_EQ(ListTypes(cluster_->NewestMap()->types), "Clerk, Counter");
  StopAndCheck(traffic);
}

TEST_P(TypesTest, ARollingUpgradeThatDropsATypeLosesAndDoublesNothing) {
  auto options = Options();
  for (const char* node : {"a", "b", "c"}) options.registries[node] = &newer_;
  Start({"a", "b", "c"}, options);
  cluster_->Await(AddAtClerk("c"));
  Traffic traffic;
  DriveMany(traffic, 10);
  for (const char* node : {"a", "b", "c"}) Replace(node, registry_);
  EXPECT_THAT(ErrorOf(AddAtClerk("c")), HasSubstr("actor Clerk/c"));
  EXPECT_THAT(ErrorOf(AddAtClerk("c")), HasSubstr("no node does any more"));
  StopAndCheck(traffic);
}

// ---- Two versions of a state

TEST_P(TypesTest, AnOlderStateLoadsIntoANewerProgram) {
  Registry next;
  HostCountersAndClerks(next, {.state_version = 1});
  auto options = Options();
  for (const char* node : {"a", "b", "c"}) options.registries[node] = &newer_;
  Start({"a", "b", "c"}, options);
  EXPECT_EQ(AddToClerk("k"), 1u);
  for (const char* node : {"a", "b", "c"}) Replace(node, next);
  EXPECT_EQ(AddToClerk("k"), 2u);
}

TEST_P(TypesTest, AnOlderProgramRefusesANewerStateAndLosesNothingOfIt) {
  Registry next;
  HostCountersAndClerks(next, {.state_version = 2});
  auto options = Options();
  for (const char* node : {"a", "b", "c"}) options.registries[node] = &next;
  Start({"a", "b", "c"}, options);
  EXPECT_EQ(AddToClerk("k"), 1u);
  for (const char* node : {"a", "b", "c"}) Replace(node, newer_);
  const std::string node = PrimaryOfClerk("k");
  EXPECT_THAT(ErrorOf(AddAtClerk("k")),
              AllOf(HasSubstr("actor Clerk/k is suspended: "),
                    HasSubstr("its state was saved by a newer program"),
                    HasSubstr("with state_version 2; node " + node + " hosts Clerk with 0"),
                    HasSubstr("run the newer program on that node")));
  EXPECT_EQ(AddToClerk("fresh"), 1u);
  for (const char* name : {"a", "b", "c"}) Replace(name, next);
  EXPECT_EQ(AddToClerk("k"), 2u);
}

TEST_P(TypesTest, ACallOfATypeThatTheActorsNodeDoesNotHostYetSaysWhoWould) {
  Start({"a", "b", "c"});
  Replace("b", newer_);
  cluster_->Run(absl::Seconds(5));  // Until no primary is on its way to it any more.
  int served = 0, refused = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string key = "c" + std::to_string(i), node = PrimaryOfClerk(key);
    if (node == "b") {
      cluster_->Await(AddAtClerk(key));
      ++served;
    } else {
      const std::string error = ErrorOf(AddAtClerk(key));
      EXPECT_THAT(error, HasSubstr("actor Clerk/" + key + ": node " + node));
      EXPECT_THAT(error, HasSubstr("hosts no actors of type Clerk; b would"));
      ++refused;
    }
  }
  EXPECT_GT(served, 0) << "no shard has come to the upgraded node";
  EXPECT_GT(refused, 0) << "it has taken them all";
}

TEST_P(TypesTest, ShardsGoToUpgradedNodesWhenTheyGoAnyway) {
  Start({"a", "b", "c"});
  Replace("b", newer_);
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(2));
  cluster_->Leave("a");
  ASSERT_TRUE(Ended("a")) << cluster_->Describe();
  for (int i = 0; i < 20; ++i) cluster_->Await(AddAtClerk("c" + std::to_string(i)));
}

TEST_P(TypesTest, AMemberThatHostsNothingHoldsNothing) {
  auto options = Options();
  options.registries["m"] = &none_;
  Start({"a", "b", "m"}, options);
  Traffic traffic;
  DriveMany(traffic, 10);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill("a");
  cluster_->Run(absl::Seconds(2));
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(CopiesOn("m"), 0u) << cluster_->Describe();
  EXPECT_EQ(CopiesOn("a"), 16u);
  cluster_->Add("c");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_EQ(CopiesOn("c"), 16u) << "the third copy of each shard";
  EXPECT_EQ(CopiesOn("m"), 0u);
  StopAndCheck(traffic);
}

TEST_P(TypesTest, ErrorsNameTheTypesOfActors) {
  Start({"a", "b", "c"});
  auto never = client_->Get<Counter>("k", {.deadline = absl::Seconds(1)}).neverRequest().send();
  const std::string error = ErrorOf(never.ignoreResult());
  EXPECT_THAT(error, HasSubstr("Counter/k"));
  auto itself = client_->Get<Counter>("me").askItselfRequest().send();
  EXPECT_THAT(ErrorOf(itself.ignoreResult()), HasSubstr("Counter/me -> Counter/me"));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TypesTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
