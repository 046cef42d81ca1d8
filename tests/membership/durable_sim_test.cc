// Durable shards in whole memberships: nodes with disks that are killed and come back.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "membership_world.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Types = std::vector<HostedType>;
using Names = std::vector<std::string>;

const HostedType kThing{77, "Thing"}, kLedger{90, "Ledger", kDefaultRole, true};

class DurableSim : public testing::TestWithParam<uint64_t> {
 protected:
  void Found(MembershipWorld& world, const Types& types) {
    for (const auto& name : names_) {
      auto options = world.OptionsOf(name, names_, 3);
      options.types = types;
      world.Start(name, options);
    }
  }
  void FoundOnDisks(MembershipWorld& world) {
    Found(world, {kThing, kLedger});
    ASSERT_TRUE(world.Until([&] { return world.Formed(names_) && world.Voters("a") == 3; },
                            absl::Seconds(10)))
        << world.Log();
  }
  // How many durable shards of the map that `name` has are in this state.
  static size_t Durable(MembershipWorld& world, const std::string& name, ShardState state) {
    const auto map = world[name].map();
    size_t count = 0;
    for (ShardId id = 0; id < map->shards.size(); ++id) {
      count += map->IsDurable(id) && map->shards[id].state == state;
    }
    return count;
  }

  const Names names_ = {"a", "b", "c"};
};

INSTANTIATE_TEST_SUITE_P(Seed, DurableSim, testing::ValuesIn(SeedsOr(1, 3)));

TEST_P(DurableSim, AllShardsServeAgainWhenAllNodesWereKilledAtOnce) {
  MembershipWorld world(GetParam(), {}, Disks::kKept);
  FoundOnDisks(world);
  for (const auto& name : names_) world.Kill(name);
  world.world().RunFor(absl::Seconds(1));
  for (const auto* name : {"c", "a", "b"}) world.Restart(name);
  ASSERT_TRUE(world.Until([&] { return world.Formed(names_); }, absl::Seconds(10))) << world.Log();
  for (const auto& name : names_) {
    EXPECT_EQ(Durable(world, name, ShardState::kActive), 8u) << name;
  }
}

TEST_P(DurableSim, ShardsWaitForTheLastThatWasInSync) {
  MembershipWorld world(GetParam(), {}, Disks::kKept);
  FoundOnDisks(world);
  for (const auto* name : {"a", "b"}) {
    world.Kill(name);
    world.world().RunFor(absl::Seconds(5));
  }
  world.Kill("c");
  world.world().RunFor(absl::Seconds(1));
  for (const auto* name : {"b", "a"}) world.Restart(name);
  world.world().RunFor(absl::Seconds(10));
  for (const auto* name : {"a", "b"}) {
    EXPECT_EQ(Durable(world, name, ShardState::kLost), 0u) << name;
  }
  world.Restart("c");
  ASSERT_TRUE(world.Until(
      [&] { return world.Formed(names_) && Durable(world, "a", ShardState::kActive) == 8u; },
      absl::Seconds(10)))
      << world.Log();
}

TEST_P(DurableSim, WithoutADataDirectoryAFounderEnds) {
  MembershipWorld world(GetParam(), {}, Disks::kNone);
  Found(world, {kLedger});
  EXPECT_TRUE(world.Until([&] { return !world["a"].unfit.empty(); }, absl::Seconds(10)))
      << world.Log();
  EXPECT_THAT(world["a"].unfit, ElementsAre(HasSubstr("start it with --data-dir")));
}

TEST_P(DurableSim, WithoutADataDirectoryAJoinerEnds) {
  MembershipWorld world(GetParam(), {}, Disks::kNone);
  Found(world, {kThing});
  ASSERT_TRUE(world.Until([&] { return world.Formed(names_); }, absl::Seconds(10))) << world.Log();
  auto options = world.OptionsOf("x", names_);
  options.types = {kLedger};
  world.Start("x", options);
  EXPECT_TRUE(world.Until([&] { return !world["x"].unfit.empty(); }, absl::Seconds(10)))
      << world.Log();
  EXPECT_THAT(world["x"].unfit, ElementsAre(HasSubstr("start it with --data-dir")));
}

TEST_P(DurableSim, TheFirstNodeThatHostsADurableTypeRaisesTheFormatForAll) {
  MembershipWorld world(GetParam(), {}, Disks::kKept);
  Found(world, {kThing});
  ASSERT_TRUE(world.Until([&] { return world.Formed(names_); }, absl::Seconds(10))) << world.Log();
  EXPECT_EQ(world["a"].map()->format, 1u);
  auto options = world.OptionsOf("x", names_);
  options.types = {kThing, kLedger};
  world.Start("x", options);
  const Names all = {"a", "b", "c", "x"};
  ASSERT_TRUE(world.Until([&] { return world.Formed(all); }, absl::Seconds(10))) << world.Log();
  for (const auto& name : all) {
    EXPECT_EQ(world[name].map()->format, 2u) << name;
    EXPECT_EQ(Durable(world, name, ShardState::kActive), 8u) << name;
  }
}

}  // namespace
}  // namespace troupe
