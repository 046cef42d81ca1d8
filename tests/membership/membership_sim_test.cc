// Membership: clusters of members on virtual time: founding, joining, dying, coming back.
#include <algorithm>

#include "membership_world.h"

namespace troupe {
namespace {

using Names = std::vector<std::string>;

// Every test runs with several seeds; TROUPE_SEEDS=A..B chooses others.
class MembershipSim : public testing::TestWithParam<uint64_t> {
 protected:
  uint64_t seed() const { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Seed, MembershipSim, testing::ValuesIn(SeedsOr(1, 3)));

// Three that found together.
void FoundThree(MembershipWorld& world) {
  const Names names = {"a", "b", "c"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 3));
  ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
  ASSERT_TRUE(world.Until([&] { return world.Voters("a") == 3; }, absl::Seconds(2))) << world.Log();
  world.world().RunFor(absl::Seconds(1));
}

size_t CountFenced(const ClusterState& map) {
  return static_cast<size_t>(
      std::count_if(map.nodes.begin(), map.nodes.end(),
                    [](const NodeEntry& node) { return node.state == NodeState::kFenced; }));
}

// Whoever still lives sees `dead` fenced, and primaries elsewhere.
bool TakenOver(MembershipWorld& world, const Names& alive, const std::string& dead, Boot boot) {
  for (const auto& name : alive) {
    const auto map = world[name].map();
    const NodeEntry* entry = map->FindNode(dead);
    if (entry == nullptr || (entry->boot == boot && entry->state != NodeState::kFenced))
      return false;
    for (const auto& shard : map->shards) {
      if (shard.primary == boot || !map->IsUp(shard.primary)) return false;
    }
  }
  return true;
}

// The k-th comeback is held for 2^k s, so that a node that fails again and again does no more harm.
TEST_P(MembershipSim, AFencedNodeIsHeldTheLongerTheOftenerItWasFenced) {
  MembershipWorld world(seed());
  FoundThree(world);
  for (const int64_t held : {2, 4, 8}) {
    const NodeEntry c = *world["a"].map()->FindNode("c");
    auto fenced = world["a"]->Submit(Fence{"c", c.boot, c.generation}).eagerlyEvaluate(nullptr);
    ASSERT_TRUE(world.Until([&] { return world.StateIn("c", "c") == NodeState::kFenced; },
                            absl::Seconds(2)));
    world.world().RunFor(absl::Seconds(held) - absl::Milliseconds(100));
    EXPECT_EQ(world.StateIn("a", "c"), NodeState::kFenced) << held;
    EXPECT_TRUE(
        world.Until([&] { return world.StateIn("c", "c") == NodeState::kUp; }, absl::Seconds(2)))
        << held;
  }
}

TEST_P(MembershipSim, OneWithoutSeedsFoundsAlone) {
  MembershipWorld world(seed());
  world.AddMachines({"a"});
  auto& a = world.Start("a", world.OptionsOf("a", {}));
  ASSERT_TRUE(world.Until([&] { return world.Formed({"a"}); }, absl::Seconds(1))) << world.Log();
  EXPECT_EQ(a.boot(), 1);
  EXPECT_FALSE(a.map_before_boot());
  EXPECT_EQ(a->coordinator(), "a");
  EXPECT_EQ(world.Voters("a"), 1);
}

TEST_P(MembershipSim, OneWhoseOnlySeedIsItselfFoundsAlone) {
  MembershipWorld world(seed());
  world.AddMachines({"a"});
  world.world().AddName("cluster.test:7000", {"a"});
  auto options = world.OptionsOf("a", {"a"});
  world.Start("a", options);
  EXPECT_TRUE(world.Until([&] { return world.Formed({"a"}); }, absl::Seconds(3))) << world.Log();
}

TEST_P(MembershipSim, ThreeThatExpectThreeFoundTogether) {
  MembershipWorld world(seed());
  FoundThree(world);
  EXPECT_EQ(world["a"].map()->cluster, world["c"].map()->cluster);
  EXPECT_EQ(world["a"].registrations(), 1);
  EXPECT_EQ(world["a"]->coordinator(), world["b"]->coordinator());
}

TEST_P(MembershipSim, NobodyServesBeforeAllThreeAreThere) {
  MembershipWorld world(seed());
  const Names names = {"a", "b", "c"};
  world.AddMachines(names);
  world.Start("a", world.OptionsOf("a", names, 3));
  world.Start("b", world.OptionsOf("b", names, 3));
  world.world().RunFor(absl::Seconds(5));
  EXPECT_EQ(world["a"].map(), nullptr);
  EXPECT_EQ(world["b"].map(), nullptr);
  world.Start("c", world.OptionsOf("c", names, 3));
  // The seed is tried every few seconds by now, but c speaks first.
  EXPECT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
}

TEST_P(MembershipSim, AFounderThatDiesEarlyIsDoneWithout) {
  MembershipWorld world(seed());
  const Names names = {"a", "b", "c"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 3));
  world.world().RunFor(absl::Milliseconds(2 + 3 * seed()));
  world.Kill("a");
  world.world().RunFor(absl::Seconds(1));
  world.Restart("a");
  EXPECT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(20))) << world.Log();
}

TEST_P(MembershipSim, AFourthJoins) {
  MembershipWorld world(seed());
  FoundThree(world);
  auto& d = world.Start("d", world.OptionsOf("d", {"b"}));
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c", "d"});
      },
      absl::Seconds(3)))
      << world.Log();
  EXPECT_FALSE(d.map_before_boot());
  EXPECT_GT(d.boot(), 3);
  // It gets copies of its own.
  world.world().RunFor(absl::Seconds(1));
  EXPECT_EQ(world["a"]->members().size(), 4);
}

TEST_P(MembershipSim, VotersBecomeThree) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b", "c"});
  world.Start("a", world.OptionsOf("a", {}));
  world.Start("b", world.OptionsOf("b", {"a"}));
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b"});
      },
      absl::Seconds(3)))
      << world.Log();
  EXPECT_EQ(world.Voters("a"), 1);
  world.Start("c", world.OptionsOf("c", {"a", "b"}));
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(3)))
      << world.Log();
  EXPECT_TRUE(world.Until([&] { return world.Voters("c") == 3; }, absl::Seconds(2))) << world.Log();
}

class Death : public MembershipSim {
 protected:
  // Kills `victim` of three; returns how long the others took.
  absl::Duration KillAndWait(MembershipWorld& world, const std::string& victim) {
    FoundThree(world);
    Names alive = {"a", "b", "c"};
    std::erase(alive, victim);
    const Boot boot = world[victim].boot();
    const absl::Time killed = world.world().Now();
    world.Kill(victim);
    EXPECT_TRUE(
        world.Until([&] { return TakenOver(world, alive, victim, boot); }, absl::Seconds(2)))
        << world.Log();
    return world.world().Now() - killed;
  }
};
INSTANTIATE_TEST_SUITE_P(Seed, Death, testing::ValuesIn(SeedsOr(1, 3)));

TEST_P(Death, OfAMemberIsFollowedByANewMap) {
  MembershipWorld world(seed());
  EXPECT_LT(KillAndWait(world, "c"), absl::Milliseconds(100)) << world.Log();
}

TEST_P(Death, OfTheCoordinatorToo) {
  MembershipWorld world(seed());
  EXPECT_LT(KillAndWait(world, "a"), absl::Milliseconds(300)) << world.Log();
  EXPECT_NE(world["b"]->coordinator(), "a");
}

TEST_P(Death, ObservedOnTheSameComputerIsProof) {
  SimOptions options;
  options.hosts = SimHosts::kShared;
  MembershipWorld world(seed(), options);
  EXPECT_LT(KillAndWait(world, seed() % 2 == 0 ? "a" : "b"), absl::Milliseconds(100))
      << world.Log();
  const Boot dead = seed() % 2 == 0 ? 1 : 2;
  bool no_wait = false;
  for (const auto& shard : world["c"].map()->shards) no_wait = no_wait || shard.no_wait == dead;
  EXPECT_TRUE(no_wait);
}

TEST_P(Death, OfAComputerIsFoundByGossip) {
  MembershipWorld world(seed());
  FoundThree(world);
  const Boot boot = world["b"].boot();
  world.world().PowerOff("b", SimDiskAfter::kKeep);
  EXPECT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "c"}, "b", boot);
      },
      absl::Seconds(3)))
      << world.Log();
}

// Links that a returned node's registration replaces are not deaths of their peers: it would take
// its own network for broken, and then not believe the next real death.
TEST_P(Death, SoonAfterAReturnIsSeenAsFast) {
  SimOptions options;
  options.log_level = LogLevel::kDebug;
  MembershipWorld world(seed(), options);
  FoundThree(world);
  world.Kill("b");
  world.world().RunFor(
      absl::Milliseconds(100 + 13 * seed() % 600));  // Between two dials, or in one.
  world.Restart("b");
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(5)))
      << world.Log();
  world.world().RunFor(absl::Milliseconds(500));
  ASSERT_TRUE(world.Logged("about=b"));
  for (const char* alive : {"about=a", "about=c"}) EXPECT_FALSE(world.Logged(alive)) << world.Log();
  const Boot boot = world["a"].boot();
  const absl::Time killed = world.world().Now();
  world.Kill("a");
  EXPECT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"b", "c"}, "a", boot);
      },
      absl::Seconds(2)))
      << world.Log();
  EXPECT_LT(world.world().Now() - killed, absl::Milliseconds(300)) << world.Log();
}

TEST_P(MembershipSim, ARestartFasterThanDetectionGetsANewBoot) {
  MembershipWorld world(seed());
  FoundThree(world);
  const std::string victim = seed() % 2 == 0 ? "a" : "c";
  const Boot old = world[victim].boot();
  world.Kill(victim);
  auto& again = world.Restart(victim);
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(5)))
      << world.Log();
  EXPECT_GT(again.boot(), old);
  for (const auto& shard : world["b"].map()->shards) {
    for (const auto* copies : {&shard.isr, &shard.elr, &shard.learners}) {
      EXPECT_EQ(std::count(copies->begin(), copies->end(), old), 0);
    }
  }
}

TEST_P(MembershipSim, AMinorityChangesNothingAndComesBack) {
  MembershipWorld world(seed());
  FoundThree(world);
  const Boot boot = world["c"].boot();
  const uint64_t before = world["c"].map()->version;
  world.world().Isolate("c");
  ASSERT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "b"}, "c", boot);
      },
      absl::Seconds(4)))
      << world.Log();
  EXPECT_EQ(world["c"].map()->version, before);
  std::string failed;
  auto confirmed = world["c"]
                       ->Confirm()
                       .then([&](SharedMap) { failed = "it did not"; },
                             [&](kj::Exception&& e) { failed = Words(e); })
                       .eagerlyEvaluate(nullptr);
  EXPECT_TRUE(world.Until([&] { return !failed.empty(); }, absl::Seconds(11)));
  EXPECT_NE(failed, "it did not");
  world.world().HealAll();
  // Fenced and alive: it asks to come back, with the same boot.
  EXPECT_TRUE(
      world.Until([&] { return world["a"].map()->IsUp(boot) && world["c"].map()->IsUp(boot); },
                  absl::Seconds(30)))
      << world.Log();
  EXPECT_EQ(world["a"].map()->FindNode("c")->generation, 1);
}

// Alone, it took all others for dead; what it would have done then must not happen later.
TEST_P(MembershipSim, ACoordinatorThatWasCutOffFencesNobodyAfterwards) {
  MembershipWorld world(seed());
  FoundThree(world);
  const std::string cut_off = world["a"]->coordinator();
  const Boot boot = world[cut_off].boot();
  Names others = {"a", "b", "c"};
  std::erase(others, cut_off);
  world.world().Isolate(cut_off);
  ASSERT_TRUE(
      world.Until([&] { return TakenOver(world, others, cut_off, boot); }, absl::Seconds(4)))
      << world.Log();
  world.world().RunFor(absl::Seconds(2) + absl::Milliseconds(37 * seed()));
  world.world().HealAll();
  world.world().RunFor(absl::Seconds(20));
  for (const auto& name : others) {
    const auto map = world[cut_off].map();
    EXPECT_TRUE(map->IsUp(world[name].boot())) << world.Log();
    EXPECT_EQ(map->FindNode(name)->generation, 0) << world.Log();
  }
  EXPECT_TRUE(world["b"].map()->IsUp(boot)) << world.Log();
}

TEST_P(MembershipSim, AProcessThatStoodStillComesBack) {
  MembershipWorld world(seed());
  FoundThree(world);
  const Boot boot = world["b"].boot();
  world.world().Pause("b");
  ASSERT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "c"}, "b", boot);
      },
      absl::Seconds(4)))
      << world.Log();
  world.world().Resume("b");
  EXPECT_TRUE(world.Until([&] { return world["a"].map()->IsUp(boot); }, absl::Seconds(20)))
      << world.Log();
}

TEST_P(MembershipSim, AConfirmIsAnsweredByAQuorum) {
  MembershipWorld world(seed());
  FoundThree(world);
  SharedMap got;
  auto confirmed = world["c"]
                       ->Confirm()
                       .then([&](SharedMap map) { got = map; })
                       .eagerlyEvaluate([](kj::Exception&& e) { ADD_FAILURE() << Words(e); });
  EXPECT_TRUE(world.Until([&] { return got != nullptr; }, absl::Milliseconds(100)));
}

TEST_P(MembershipSim, ALeaverIsGoneFromVotersMapAndGossip) {
  MembershipWorld world(seed());
  FoundThree(world);
  world.Start("d", world.OptionsOf("d", {"a"}));
  ASSERT_TRUE(world.Until([&] { return world.Formed({"a", "b", "c", "d"}); }, absl::Seconds(3)));
  world.world().RunFor(absl::Seconds(1));
  bool left = false;
  auto leaving = world["a"]
                     ->Leave(absl::Seconds(10))
                     .then([&] { left = true; })
                     .eagerlyEvaluate([](kj::Exception&& e) { ADD_FAILURE() << Words(e); });
  ASSERT_TRUE(world.Until([&] { return left; }, absl::Seconds(12))) << world.Log();
  EXPECT_EQ(world.StateIn("b", "a"), NodeState::kLeft) << world.Log();
  for (const auto& voter : world["b"].map()->voters) EXPECT_NE(voter.node, "a");
  EXPECT_EQ(world.Voters("b"), 3);
  leaving = nullptr;
  world.Kill("a");
  world.world().RunFor(absl::Seconds(2));
  EXPECT_EQ(world.StateIn("b", "a"), NodeState::kLeft);
}

TEST_P(MembershipSim, AWholeRestartFindsTheRegisterOnTheDisks) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  const Id128 cluster = world["a"].map()->cluster;
  const uint64_t before = world["a"].map()->version;
  for (const auto* name : {"a", "b", "c"}) world.Kill(name);
  world.world().RunFor(absl::Seconds(1));
  for (const auto* name : {"c", "a", "b"}) world.Restart(name);
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(10)))
      << world.Log();
  EXPECT_EQ(world["a"].map()->cluster, cluster);
  EXPECT_GT(world["a"].map()->version, before);
  EXPECT_GT(world["a"].boot(), before);
}

TEST_P(MembershipSim, AWholeRestartGoesOnWithoutOne) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  for (const auto* name : {"a", "b", "c"}) world.Kill(name);
  for (const auto* name : {"c", "b"}) world.Restart(name);
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"b", "c"});
      },
      absl::Seconds(10)))
      << world.Log();
  EXPECT_TRUE(
      world.Until([&] { return world.StateIn("b", "a") == NodeState::kFenced; }, absl::Seconds(15)))
      << world.Log();
}

TEST_P(MembershipSim, TwoNodesWithOneNameAreToldSo) {
  MembershipWorld world(seed());
  FoundThree(world);
  world.AddMachines({"d"});
  const Boot boot = world["b"].boot();
  auto options = world.OptionsOf("d", {"a", "c"});
  options.node = "b";
  world.Start("d", options);
  EXPECT_TRUE(world.Until([&] { return world.Logged("two nodes with one name: choose"); },
                          absl::Seconds(10)))
      << world.Log();
  world.world().RunFor(absl::Seconds(5));
  EXPECT_EQ(world["d"].boot(), 0);
  EXPECT_TRUE(world["a"].map()->IsUp(boot)) << world.Log();
}

TEST_P(MembershipSim, AnotherClustersNameIsRefusedAndSaid) {
  MembershipWorld world(seed());
  FoundThree(world);
  world.AddMachines({"d"});
  auto options = world.OptionsOf("d", {"a"});
  options.cluster_name = "other";
  world.Start("d", options);
  world.world().RunFor(absl::Seconds(3));
  EXPECT_EQ(world["d"].map(), nullptr);
  EXPECT_TRUE(world.Logged("check --cluster and --join")) << world.Log();
}

TEST_P(MembershipSim, WhoWaitsForMoreNodesToFoundAClusterWithSaysWhomItHasMet) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b", "c"});
  for (const char* name : {"a", "b"}) {
    world.Start(name, world.OptionsOf(name, {"a", "b", "c"}, 3));
  }
  world.world().RunFor(absl::Seconds(15));
  EXPECT_TRUE(world.Logged("waiting for more nodes to found a cluster with")) << world.Log();
  EXPECT_TRUE(world.Logged("expect=3 met=a,b")) << world.Log();
  EXPECT_EQ(world["a"].map(), nullptr);
  world.Start("c", world.OptionsOf("c", {"a", "b", "c"}, 3));
  const auto formed = [&] { return world.Formed({"a", "b", "c"}); };
  EXPECT_TRUE(world.Until(formed, absl::Seconds(15))) << world.Log();
}

TEST_P(MembershipSim, AnUnreachableSeedIsTriedForEver) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b"});
  world.Start("b", world.OptionsOf("b", {"a"}));
  world.world().RunFor(absl::Seconds(60));
  EXPECT_TRUE(world.Logged("seed not reached"));
  EXPECT_EQ(world["b"].map(), nullptr);
  world.Start("a", world.OptionsOf("a", {}));
  EXPECT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b"});
      },
      absl::Seconds(10)))
      << world.Log();
}

TEST_P(MembershipSim, ANameOfSeveralAddressesIsASeed) {
  MembershipWorld world(seed());
  FoundThree(world);
  world.world().AddName("cluster.test", {"a", "b", "c"});
  auto options = world.OptionsOf("d", {});
  options.seeds = {"cluster.test:7000"};
  world.AddMachines({"d"});
  options.listen = world.At("d");
  world.Start("d", options);
  EXPECT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c", "d"});
      },
      absl::Seconds(5)))
      << world.Log();
}

TEST_P(MembershipSim, WhoExpectsThreeButFindsAClusterJoinsIt) {
  MembershipWorld world(seed());
  FoundThree(world);
  const Id128 cluster = world["a"].map()->cluster;
  const Names late = {"d", "e", "f"};
  for (const auto& name : late) world.Start(name, world.OptionsOf(name, {"a", "d", "e", "f"}, 3));
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "d", "e", "f"});
      },
      absl::Seconds(10)))
      << world.Log();
  EXPECT_EQ(world["f"].map()->cluster, cluster);
}

TEST_P(MembershipSim, WhoExpectDifferentNumbersDoNotFoundTogether) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b"});
  world.Start("a", world.OptionsOf("a", {"b"}, 2));
  world.Start("b", world.OptionsOf("b", {"a"}, 3));
  world.world().RunFor(absl::Seconds(5));
  EXPECT_EQ(world["a"].map(), nullptr);
  EXPECT_EQ(world["b"].map(), nullptr);
}

TEST_P(MembershipSim, FoundersOfOneNameAreToldSo) {
  MembershipWorld world(seed());
  const Names machines = {"a", "b", "c"};
  world.AddMachines(machines);
  for (const auto& machine : machines) {
    auto options = world.OptionsOf(machine, machines, 3);
    if (machine == "c") options.node = "b";
    world.Start(machine, options);
  }
  world.world().RunFor(absl::Seconds(5));
  EXPECT_TRUE(world.Logged("two nodes with one name")) << world.Log();
  EXPECT_EQ(world["a"].map(), nullptr);
}

TEST_P(MembershipSim, TwoSurviveTheLossOfTheOneThatDoesNotVote) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b"});
  world.Start("a", world.OptionsOf("a", {}));
  world.Start("b", world.OptionsOf("b", {"a"}));
  ASSERT_TRUE(world.Until([&] { return world.Formed({"a", "b"}); }, absl::Seconds(3)));
  world.world().RunFor(absl::Seconds(1));
  EXPECT_TRUE(world.Logged("two nodes survive only"));
  world.Kill("b");
  EXPECT_TRUE(world.Until([&] { return world.StateIn("a", "b") == NodeState::kFenced; },
                          absl::Milliseconds(200)))
      << world.Log();
}

TEST_P(MembershipSim, TwoThatDieTogetherAreOneChangeOfTheMap) {
  SimOptions options;
  options.hosts = SimHosts::kShared;
  MembershipWorld world(seed(), options);
  const Names names = {"a", "b", "c", "d", "e"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 5));
  ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
  world.world().RunFor(absl::Seconds(2));
  const size_t told = world["e"].told().size();
  world.Kill("a");
  world.Kill("d");
  auto fenced = [&](const std::string& name) {
    return world.StateIn("e", name) == NodeState::kFenced;
  };
  EXPECT_TRUE(world.Until([&] { return fenced("a") && fenced("d"); }, absl::Milliseconds(100)))
      << world.Log();
  EXPECT_EQ(world["e"].told().size(), told + 1) << world.Log();
}

// Two of eight fall silent with their computers: found by gossip, at different moments.
TEST_P(MembershipSim, ARackThatLosesPowerIsOneChangeOfTheMap) {
  MembershipWorld world(seed());
  const Names names = {"a", "b", "c", "d", "e", "f", "g", "h"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 8));
  ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
  world.world().RunFor(absl::Seconds(2));
  const Names rack = {"f", "g", "h"};
  uint64_t changes = 0;
  size_t fenced_at_once = 0;
  world["a"].on_map = [&](const SharedMap& map) {
    size_t fenced = 0;
    for (const auto& name : rack) fenced += map->FindNode(name)->state == NodeState::kFenced;
    if (fenced > fenced_at_once) ++changes;
    fenced_at_once = fenced;
  };
  for (const auto& name : rack) world.world().PowerOff(name, SimDiskAfter::kErase);
  EXPECT_TRUE(world.Until([&] { return fenced_at_once == 3; }, absl::Seconds(4))) << world.Log();
  EXPECT_EQ(changes, 1) << world.Log();
}

TEST_P(MembershipSim, ALinkThatFlapsIsNoChangeOfTheMap) {
  MembershipWorld world(seed());
  const Names names = {"a", "b", "c", "d", "e"};
  world.AddMachines(names);
  for (const auto& name : names) world.Start(name, world.OptionsOf(name, names, 5));
  ASSERT_TRUE(world.Until([&] { return world.Formed(names); }, absl::Seconds(5))) << world.Log();
  world.world().RunFor(absl::Seconds(2));
  const auto version = world["a"].map()->version;
  for (int i = 0; i < 100; ++i) {
    world.world().ResetConnections("b", "e");
    if (i % 10 == 5) world.world().Cut("b", "e");
    if (i % 10 == 9) world.world().Heal("b", "e");
    world.world().RunFor(absl::Milliseconds(60));
  }
  world.world().RunFor(absl::Seconds(1));
  EXPECT_EQ(world["a"].map()->version, version) << world.Log();
  EXPECT_EQ(CountFenced(*world["a"].map()), 0);
}

TEST_P(MembershipSim, ARefusedCommandSaysWhy) {
  MembershipWorld world(seed());
  FoundThree(world);
  std::string why;
  auto refused = world["b"]
                     ->Submit(Fence{"c", world["c"].boot(), 7})
                     .then([&] { why = "done"; }, [&](kj::Exception&& e) { why = Words(e); })
                     .eagerlyEvaluate(nullptr);
  EXPECT_TRUE(world.Until([&] { return !why.empty(); }, absl::Seconds(1)));
  EXPECT_EQ(why, "node c is of generation 0, expected 7");
}

TEST_P(MembershipSim, AVoterWithADiskVotesAgain) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  const auto voters = world["a"].map()->voters;
  world.Kill("b");
  world.Restart("b");
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(5)))
      << world.Log();
  world.world().RunFor(absl::Seconds(1));
  EXPECT_EQ(world["a"].map()->voters, voters);
  // With c gone, its vote is needed.
  const Boot boot = world["c"].boot();
  world.Kill("c");
  EXPECT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "b"}, "c", boot);
      },
      absl::Seconds(2)))
      << world.Log();
}

TEST_P(MembershipSim, AVoterWhoseDiskFailsDoesNotVote) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  world.world().disk("c").Set(SimDiskFault::kFail);
  world.Start("d", world.OptionsOf("d", {"a"}));
  EXPECT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "d"});
      },
      absl::Seconds(5)))
      << world.Log();
  EXPECT_TRUE(world.Logged("this node votes no more"));
}

TEST_P(MembershipSim, AVoterWhoseDiskCanBeWrittenAgainVotesAgain) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  world.world().disk("c").Set(SimDiskFault::kFull);
  world.Kill("b");
  ASSERT_TRUE(
      world.Until([&] { return world.Logged("this node votes no more"); }, absl::Seconds(5)))
      << world.Log();
  // The vote of c is needed.
  world.world().RunFor(absl::Seconds(5));
  world.world().disk("c").Clear(SimDiskFault::kFull);
  const Boot boot = world["a"].map()->FindNode("b")->boot;
  EXPECT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "c"}, "b", boot);
      },
      absl::Seconds(10)))
      << world.Log();
}

TEST_P(MembershipSim, ANodeThatStartsOnAFullDiskJoinsWhenThereIsRoom) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  world.Kill("c");
  world.world().disk("c").Set(SimDiskFault::kFull);
  world.Restart("c");
  world.world().RunFor(absl::Seconds(5));
  EXPECT_FALSE(world.Formed({"a", "b", "c"}));
  world.world().disk("c").Clear(SimDiskFault::kFull);
  EXPECT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(10)))
      << world.Log();
}

// A process of node b on another computer, with a copy of what b has on its disk.
void AddCopyOfB(MembershipWorld& world) {
  world.AddMachines({"copy"});
  world.world().disk("copy").CopyFrom(world.world().disk("b"));
}
void StartCopyOfB(MembershipWorld& world) {
  auto options = world.OptionsOf("copy", {"a", "c"});
  options.node = "b";
  world.Start("copy", options);
}

// The copy has the name, the storage id and the nonce that the register has: but not the lock.
TEST_P(MembershipSim, ACopiedDirectoryStartedBesideTheOriginalReplacesNobody) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  const auto voters = world["a"].map()->voters;
  const Boot boot = world["b"].boot();
  AddCopyOfB(world);
  StartCopyOfB(world);
  EXPECT_TRUE(world.Until([&] { return world.Logged("two nodes with one name: choose"); },
                          absl::Seconds(10)))
      << world.Log();
  world.world().RunFor(absl::Seconds(5));
  EXPECT_EQ(world["copy"].boot(), 0);
  EXPECT_TRUE(world["a"].map()->IsUp(boot)) << world.Log();
  // Without c the register needs the vote of the original, and only that.
  EXPECT_EQ(world["a"].map()->voters, voters);
  const Boot last = world["c"].boot();
  world.Kill("c");
  EXPECT_TRUE(world.Until(
      [&] {
        return TakenOver(world, {"a", "b"}, "c", last);
      },
      absl::Seconds(5)))
      << world.Log();
}

// Older than what the register knows of that storage id: it may have voted since.
TEST_P(MembershipSim, ARestoredDirectoryGetsAStorageIdOfItsOwn) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  const auto old = *world["a"].map()->FindNode("b");
  world.AddMachines({"backup"});
  world.world().disk("backup").CopyFrom(world.world().disk("b"));
  for (int restart = 0; restart < 2; ++restart) {  // The nonces of the second are no more in it.
    world.Kill("b");
    world.Restart("b");
    ASSERT_TRUE(world.Until(
        [&] {
          return world.Formed({"a", "b", "c"});
        },
        absl::Seconds(10)))
        << world.Log();
  }
  world.Kill("b");
  world.world().disk("b").CopyFrom(world.world().disk("backup"));
  world.Restart("b");
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"}) && world.Voters("a") == 3;
      },
      absl::Seconds(20)))
      << world.Log();
  EXPECT_TRUE(world.Logged("the data directory is a copy"));
  const auto map = world["a"].map();
  EXPECT_NE(map->FindNode("b")->storage, old.storage);
  const VoterId gone{"b", old.storage};
  EXPECT_TRUE(world.Until(
      [&] {
        const auto& voters = world["a"].map()->voters;
        return std::find(voters.begin(), voters.end(), gone) == voters.end();
      },
      absl::Seconds(10)))
      << "a voter that forgot what it promised still counts";
}

// Whatever it promised after the copy was made, the copy has not heard of.
TEST_P(MembershipSim, ACopyOfADeadNodesDirectoryVotesUnderAnIdOfItsOwn) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  FoundThree(world);
  const auto old = *world["a"].map()->FindNode("b");
  AddCopyOfB(world);
  world.Kill("b");
  StartCopyOfB(world);
  const VoterId gone{"b", old.storage};
  const auto replaced = [&] {
    const auto& map = *world["a"].map();
    return world["copy"].boot() > old.boot && map.IsUp(world["copy"].boot()) &&
           map.voters.size() == 3 && map.pending.empty() &&
           std::find(map.voters.begin(), map.voters.end(), gone) == map.voters.end();
  };
  EXPECT_TRUE(world.Until(replaced, absl::Seconds(20))) << world.Log();
  EXPECT_TRUE(world.Logged("the data directory was copied or moved to here"));
  EXPECT_NE(world["a"].map()->FindNode("b")->storage, old.storage);
}

// What a process asked for before it died is still under way when the next run of it is
// registered: it is not read any more.
TEST_P(MembershipSim, ANewerRunVoidsTheOlderLinkAndItsUnreadFrames) {
  MembershipWorld world(seed());
  FoundThree(world);
  const Boot old = world["c"].boot();
  const Boot target = world["b"].boot();
  for (const auto* other : {"a", "b"}) {
    world.world().SetLink("c", other, {absl::Seconds(20), absl::Seconds(20)});
  }
  auto asked = world["c"]
                   ->Submit(Drain{"b", target}, absl::Seconds(1))
                   .catch_([](kj::Exception&&) {})
                   .eagerlyEvaluate(nullptr);
  world.world().RunFor(absl::Milliseconds(1));
  asked = nullptr;
  world.Kill("c", SimDiskAfter::kErase);  // Its kernel sends what it had been given.
  for (const auto* other : {"a", "b"}) world.world().ClearLink("c", other);
  world.Restart("c");
  ASSERT_TRUE(world.Until(
      [&] {
        return world.Formed({"a", "b", "c"});
      },
      absl::Seconds(15)))
      << world.Log();
  EXPECT_GT(world["c"].boot(), old);
  world.world().RunFor(absl::Seconds(30));
  EXPECT_EQ(world.StateIn("a", "b"), NodeState::kUp) << world.Log();
}

TEST_P(MembershipSim, ADamagedDirectoryIsSaidAtStart) {
  for (const auto* record : {"identity", "acceptor", "map"}) {
    MembershipWorld world(seed(), {}, Disks::kKept);
    world.AddMachines({"a"});
    world.Start("a", world.OptionsOf("a", {}));
    ASSERT_TRUE(world.Until([&] { return world.Formed({"a"}); }, absl::Seconds(1)));
    world.world().RunFor(absl::Seconds(1));
    world.Kill("a");
    world.world().disk("a").Damage(record);
    world.world().Restart("a");
    EXPECT_EQ(world.TryStart("a", world.OptionsOf("a", {})).code(), absl::StatusCode::kDataLoss)
        << record;
  }
}

TEST_P(MembershipSim, AnothersDirectoryIsRefused) {
  MembershipWorld world(seed(), {}, Disks::kKept);
  world.AddMachines({"a"});
  world.Start("a", world.OptionsOf("a", {}));
  ASSERT_TRUE(world.Until([&] { return world.Formed({"a"}); }, absl::Seconds(1)));
  world.Kill("a");
  world.world().Restart("a");
  auto options = world.OptionsOf("a", {});
  options.node = "b";
  EXPECT_EQ(world.TryStart("a", options).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(MembershipSim, OptionsThatContradictEachOtherAreRefused) {
  MembershipWorld world(seed());
  world.AddMachines({"a", "b", "c", "d"});
  EXPECT_EQ(world.TryStart("a", world.OptionsOf("a", {"a", "b", "c", "d"}, 2)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MembershipSimTrace, IsTheSameForTheSameSeed) {
  auto run = [](uint64_t seed) {
    MembershipWorld world(seed);
    FoundThree(world);
    world.Kill("a");
    world.world().RunFor(absl::Seconds(2));
    return world.world().trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace troupe
