// Gossip keys in a cluster: keys change under way, outsiders learn and change nothing.
#include "membership_world.h"

namespace troupe {
namespace {

using Names = std::vector<std::string>;

GossipKey KeyOf(uint8_t number) {
  GossipKey key;
  key.fill(number);
  return key;
}
GossipKeys Ring(const std::vector<uint8_t>& numbers) {
  GossipKeys ring;
  for (uint8_t number : numbers) EXPECT_TRUE(ring.Add(KeyOf(number)).ok());
  return ring;
}

class GossipSecrecySim : public testing::TestWithParam<uint64_t> {
 protected:
  void Found(MembershipWorld& world, const Names& names) {
    world.AddMachines(names);
    const auto expect = static_cast<uint32_t>(names.size());
    for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, expect));
    ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
    world.world().RunFor(absl::Seconds(2));
  }
};
INSTANTIATE_TEST_SUITE_P(Seed, GossipSecrecySim, testing::Range<uint64_t>(1, 6));

TEST_P(GossipSecrecySim, AKeyIsChangedAcrossAClusterAndNoMemberIsLost) {
  MembershipWorld world(GetParam());
  world.gossip_keys = Ring({1});
  const Names names = {"a", "b", "c", "d", "e"};
  Found(world, names);
  const auto version = world["a"].map()->version;
  for (const auto& ring : {Ring({1, 2}), Ring({2, 1}), Ring({2})}) {
    for (const auto& name : names) {
      EXPECT_TRUE(world[name]->SetGossipKeys(ring).ok());
      world.world().RunFor(absl::Seconds(1));  // The step is under way for five seconds.
    }
  }
  world.world().RunFor(absl::Seconds(10));
  EXPECT_EQ(world["a"].map()->version, version) << world.Log();
  for (const auto& name : names) {
    EXPECT_EQ(world[name]->gossip_seal().dropped(), 0);
    EXPECT_GT(world[name]->gossip_seal().opened, 100);
  }
  EXPECT_FALSE(world.Logged("member suspected")) << world.Log();
}

TEST_P(GossipSecrecySim, WhoKeepsTheOldKeyIsCutOffAndComesBackWithTheNewOne) {
  MembershipWorld world(GetParam());
  world.gossip_keys = Ring({1});
  const Names names = {"a", "b", "c", "d"};
  Found(world, names);
  for (const auto& name : {"a", "b", "c"}) {
    EXPECT_TRUE(world[name]->SetGossipKeys(Ring({2})).ok());
  }
  EXPECT_TRUE(
      world.Until([&] { return world["a"]->gossip_seal().refused_foreign > 0; }, absl::Seconds(2)));
  EXPECT_TRUE(world.Logged("gossip dropped"));
  world.world().RunFor(absl::Seconds(5));
  EXPECT_TRUE(world["d"]->SetGossipKeys(Ring({2})).ok());
  EXPECT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(30))) << world.Log();
}

// It has an address, a link and everything but the key.
TEST_P(GossipSecrecySim, AnOutsiderLearnsAndChangesNothing) {
  for (const auto& foreign : {GossipKeys(), Ring({9})}) {
    MembershipWorld world(GetParam());
    world.gossip_keys = Ring({1});
    const Names names = {"a", "b", "c"};
    Found(world, names);
    const auto version = world["a"].map()->version;
    world.gossip_keys = foreign;
    world.Start("x", world.OptionsOf("x", {"a", "b", "c"}));
    world.world().RunFor(absl::Seconds(20));
    EXPECT_EQ(world["x"]->members().size(), 1);
    EXPECT_EQ(world["x"].map(), nullptr);
    for (const auto& name : names) {
      EXPECT_EQ(world[name]->members().size(), 3);
      EXPECT_EQ(world[name].map()->version, version);
    }
  }
}

TEST_P(GossipSecrecySim, ARunningNodeDoesNotGoFromKeysToNone) {
  MembershipWorld world(GetParam());
  world.gossip_keys = Ring({1});
  Found(world, {"a"});
  EXPECT_EQ(world["a"]->SetGossipKeys(GossipKeys()).code(), absl::StatusCode::kFailedPrecondition);
}

// Two restarts of each node, one after the other, from plain to required.
TEST_P(GossipSecrecySim, AClusterGoesOverToEncryptionByRollingRestarts) {
  MembershipWorld world(GetParam());
  const Names names = {"a", "b", "c"};
  Found(world, names);
  const Id128 cluster = world["a"].map()->cluster;
  for (auto secrecy : {GossipSecrecy::kAccept, GossipSecrecy::kSend, GossipSecrecy::kRequired}) {
    for (const auto& name : names) {
      world.gossip_keys = Ring({1});
      Names others = names;
      std::erase(others, name);
      auto options = world.OptionsOf(name, others);
      options.gossip_secrecy = secrecy;
      world.Kill(name);
      world.world().RunFor(absl::Milliseconds(100));
      world.world().Restart(name);
      world.Start(name, options);
      ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(20)))
          << world.Log();
      world.world().RunFor(absl::Seconds(2));
    }
  }
  for (const auto& name : names) EXPECT_EQ(world[name].map()->cluster, cluster);
  for (const auto& name : names) EXPECT_GT(world[name]->gossip_seal().opened, 10);
}

}  // namespace
}  // namespace troupe
