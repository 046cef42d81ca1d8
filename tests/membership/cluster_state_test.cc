// ClusterState: every command and every rule of the value that decides.
#include "troupe/membership/cluster_state.h"

#include <algorithm>
#include <map>

#include "cluster_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Grounds = Fence::Grounds;
constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// One shard on a, b, c (copies 1, 2, 3) with the given primary.
ClusterState OneShard(CopyId primary, size_t nodes = 3) {
  ClusterState state = MakeCluster(nodes, 1);
  state.shards[0].isr = {1, 2, 3};
  state.shards[0].primary = primary;
  return state;
}

TEST(Found, SpreadsShardsEvenlyOverThreeNodes) {
  ClusterState state = MakeCluster(3, 256);
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  EXPECT_EQ(state.version, 3u);
  EXPECT_EQ(state.roles[0].min_isr, 2u);
  EXPECT_EQ(state.voters.size(), 3u);
  std::map<CopyId, int> primaries;
  for (const ShardEntry& shard : state.shards) {
    EXPECT_THAT(shard.isr, ElementsAre(1, 2, 3));
    ++primaries[shard.primary];
  }
  for (auto [copy, count] : primaries) EXPECT_LE(count, 86) << copy;
}

TEST(Found, OneAndTwoNodesHaveOneVoterAndMinIsrOne) {
  for (size_t nodes : {1, 2}) {
    ClusterState state = MakeCluster(nodes);
    EXPECT_EQ(state.roles[0].min_isr, 1u);
    EXPECT_EQ(state.voters.size(), 1u);
    EXPECT_EQ(state.shards[0].isr.size(), nodes);
  }
  EXPECT_EQ(MakeCluster(5).voters.size(), 5u);
}

TEST(Found, SpreadsCopiesOverZones) {
  std::vector<Founder> founders;
  for (int i = 0; i < 6; ++i) {
    founders.push_back(MakeFounder(std::string(1, static_cast<char>('a' + i)), i + 1));
    founders.back().zone = i < 4 ? "east" : i == 4 ? "west" : "north";
  }
  ClusterConfig config;
  config.shards = 32;
  for (const ShardEntry& shard : Found(Id128{1, 1}, config, founders).shards) {
    EXPECT_THAT(shard.isr, ElementsAre(::testing::Le(4), 5, 6));
  }
}

TEST(Register, GivesTheNextVersionAsBootAndTheSameAnswerAgain) {
  ClusterState state = MakeCluster(3);
  Register command = Rejoin("d", 40, 0);
  EXPECT_TRUE(Do(state, command));
  EXPECT_EQ(state.version, 4u);
  EXPECT_EQ(state.FindNode("d")->boot, 4u);
  ClusterState again = state;
  EXPECT_FALSE(Do(again, command));
  EXPECT_EQ(again, state);
}

TEST(Register, IsRefusedWhenItReplacesAnotherBootThanTheCurrent) {
  ClusterState state = MakeCluster(3);
  EXPECT_EQ(CodeOf(state, Rejoin("a", 40, 0)), kRefused);
  EXPECT_EQ(CodeOf(state, Rejoin("a", 40, 2)), kRefused);
  EXPECT_EQ(CodeOf(state, Rejoin("new", 40, 9)), kRefused);
}

TEST(Register, DoesNotReplaceALiveNodeWithoutItsDataLock) {
  ClusterState state = MakeCluster(3);
  Register command = Rejoin("a", 40, 1);
  command.holds_data_lock = false;
  EXPECT_EQ(CodeOf(state, command), absl::StatusCode::kPermissionDenied);
  Do(state, FenceOf(state, "a"));
  EXPECT_TRUE(Do(state, command));
}

TEST(Register, RefusesStorageThatALiveNodeOfAnotherNameUses) {
  ClusterState state = MakeCluster(3);
  Register d = Rejoin("d", 40, 0), e = Rejoin("e", 41, 0);
  d.storage = e.storage = Id128{5, 5};
  Do(state, d);
  EXPECT_EQ(CodeOf(state, e), kRefused);
}

TEST(Register, EvictsCopiesThatNoLongerExistAndNamesTheDeadBoot) {
  ClusterState state = OneShard(1);
  Do(state, Rejoin("a", 40, 1));
  const ShardEntry& shard = state.shards[0];
  EXPECT_THAT(shard.isr, ElementsAre(2, 3));
  EXPECT_THAT(shard.elr, IsEmpty());
  EXPECT_NE(shard.primary, 1u);
  EXPECT_EQ(shard.epoch, 2u);
  EXPECT_EQ(shard.no_wait, 1u);
}

TEST(Register, OfALastCopyMakesTheShardLost) {
  ClusterState state = OneShard(1);
  Do(state, Rejoin("b", 50, 2));
  Do(state, Rejoin("c", 51, 3));
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1));
  Do(state, Rejoin("a", 52, 1));
  const ShardEntry& shard = state.shards[0];
  EXPECT_EQ(shard.state, ShardState::kLost);
  EXPECT_EQ(shard.primary, 0u);
  EXPECT_THAT(shard.isr, IsEmpty());
  EXPECT_TRUE(Validate(state).ok());
}

TEST(Fence, ElectsFromTheIsrAndOnlyTouchesThatNodesShards) {
  ClusterState state = MakeCluster(5, 64);
  ClusterState before = state;
  Do(state, FenceOf(state, "a"));
  std::map<CopyId, int> heirs;
  for (ShardId id = 0; id < 64; ++id) {
    const ShardEntry &old = before.shards[id], &now = state.shards[id];
    if (std::count(old.isr.begin(), old.isr.end(), 1u) == 0) {
      EXPECT_EQ(old, now);
      continue;
    }
    EXPECT_EQ(now.isr.size(), 2u);
    EXPECT_EQ(now.isr_version, old.isr_version + 1);
    EXPECT_EQ(now.epoch, old.epoch + (old.primary == 1 ? 1 : 0));
    EXPECT_EQ(now.no_wait, 0u);
    if (old.primary == 1) ++heirs[now.primary];
  }
  EXPECT_GE(heirs.size(), 3u) << "all to few nodes";
}

TEST(Fence, OfAStaleBootOrGenerationIsRefused) {
  ClusterState state = MakeCluster(3);
  EXPECT_EQ(CodeOf(state, Fence{"a", 2, 0}), kRefused);
  EXPECT_EQ(CodeOf(state, Fence{"x", 2, 0}), absl::StatusCode::kNotFound);
  Fence delayed = FenceOf(state, "a");
  Do(state, delayed);
  EXPECT_FALSE(Do(state, delayed));
  Do(state, UnfenceOf(state, "a"));
  EXPECT_EQ(state.FindNode("a")->generation, 1u);
  EXPECT_EQ(CodeOf(state, delayed), kRefused);
}

TEST(Fence, ByProofNamesTheBootForThatEpochAlone) {
  ClusterState state = OneShard(1);
  Do(state, FenceOf(state, "a", Grounds::kProofOfDeath));
  EXPECT_EQ(state.shards[0].no_wait, 1u);
  CopyId heir = state.shards[0].primary;
  Do(state, FenceOf(state, state.FindBoot(heir)->name));
  EXPECT_EQ(state.shards[0].epoch, 3u);
  EXPECT_EQ(state.shards[0].no_wait, 0u);
}

TEST(Fence, NeverRemovesTheLastCopies) {
  ClusterState state = OneShard(1);
  Do(state, AlterOf(state, 0, {1, 2}));
  Do(state, FenceOf(state, "b"));
  EXPECT_THAT(state.shards[0].elr, ElementsAre(2));
  Do(state, FenceOf(state, "a"));
  const ShardEntry& shard = state.shards[0];
  EXPECT_EQ(shard.state, ShardState::kNoPrimary);
  EXPECT_EQ(shard.primary, 0u);
  EXPECT_THAT(shard.isr, ElementsAre(1));
  EXPECT_THAT(shard.elr, ElementsAre(2));
  EXPECT_EQ(state.FindNode("c")->state, NodeState::kUp);  // Its copy left when all was well.
}

TEST(Fence, ElectsFromElrWhenNoIsrCopyIsUp) {
  ClusterState state = OneShard(1);
  Do(state, AlterOf(state, 0, {1}));
  EXPECT_THAT(state.shards[0].elr, ElementsAre(2, 3));
  Do(state, FenceOf(state, "a"));
  const ShardEntry& shard = state.shards[0];
  EXPECT_EQ(shard.state, ShardState::kActive);
  EXPECT_THAT(shard.isr, ElementsAre(shard.primary));
  EXPECT_THAT(shard.elr, ElementsAre(1, shard.primary == 2 ? 3 : 2));
}

TEST(Fence, RemovesLearners) {
  ClusterState state = OneShard(1, 4);
  Do(state, AddLearner{0, 1, 4});
  EXPECT_THAT(state.shards[0].learners, ElementsAre(4));
  Do(state, FenceOf(state, "d"));
  EXPECT_THAT(state.shards[0].learners, IsEmpty());
}

TEST(AlterIsr, ThatWasToAddALearnerFailsForEverWhenTheLearnerHasGone) {
  ClusterState state = OneShard(1, 4);
  Do(state, AddLearner{0, 1, 4});
  AlterIsr delayed = AlterOf(state, 0, {1, 2, 3, 4});
  Do(state, FenceOf(state, "d"));
  Do(state, UnfenceOf(state, "d"));
  Do(state, AddLearner{0, 1, 4});
  EXPECT_EQ(CodeOf(state, delayed), kRefused) << "the copy may have been dropped meanwhile";
  EXPECT_TRUE(Do(state, AlterOf(state, 0, {1, 2, 3, 4})));
}

TEST(Unfence, ElectsWaitingCopiesAtOnce) {
  ClusterState state = OneShard(1);
  for (const char* node : {"a", "b", "c"}) Do(state, FenceOf(state, node));
  ASSERT_EQ(state.shards[0].state, ShardState::kNoPrimary);
  CopyId last = state.shards[0].isr.front();
  ASSERT_THAT(state.shards[0].isr, ElementsAre(last));
  Epoch epoch = state.shards[0].epoch;
  Boot in_elr = state.shards[0].elr.front();
  Unfence command = UnfenceOf(state, state.FindBoot(in_elr)->name);
  Do(state, command);
  EXPECT_EQ(state.shards[0].primary, in_elr);
  EXPECT_EQ(state.shards[0].epoch, epoch + 1);
  EXPECT_THAT(state.shards[0].elr, ElementsAre(last));
  EXPECT_FALSE(Do(state, command));
}

TEST(Unfence, OfANodeThatWasFencedAgainIsRefused) {
  ClusterState state = MakeCluster(3);
  Do(state, FenceOf(state, "a"));
  Unfence delayed = UnfenceOf(state, "a");
  Do(state, delayed);
  Do(state, FenceOf(state, "a"));
  EXPECT_EQ(CodeOf(state, delayed), kRefused);
}

TEST(AlterIsr, IsCompareAndSetOnEpochAndIsrVersion) {
  ClusterState state = OneShard(1);
  AlterIsr shrink = AlterOf(state, 0, {1, 2});
  EXPECT_TRUE(Do(state, shrink));
  EXPECT_EQ(state.shards[0].isr_version, 2u);
  EXPECT_FALSE(Do(state, shrink));  // Repeated: already so.
  AlterIsr stale = shrink;
  stale.isr = {1};
  EXPECT_EQ(CodeOf(state, stale), kRefused);
  AlterIsr old_epoch = AlterOf(state, 0, {1});
  old_epoch.epoch = 0;
  EXPECT_EQ(CodeOf(state, old_epoch), kRefused);
  AlterIsr other_primary = AlterOf(state, 0, {1});
  other_primary.primary = 2;
  EXPECT_EQ(CodeOf(state, other_primary), kRefused);
}

TEST(AlterIsr, AddsOnlyLearnersOnUpNodesAndKeepsThePrimary) {
  ClusterState state = OneShard(1, 4);
  EXPECT_EQ(CodeOf(state, AlterOf(state, 0, {1, 2, 3, 4})), kRefused);
  EXPECT_EQ(CodeOf(state, AlterOf(state, 0, {2, 3})), kInvalid);
  EXPECT_EQ(CodeOf(state, AlterOf(state, 0, {2, 1})), kInvalid);
  Do(state, AddLearner{0, 1, 4});
  ClusterState draining = state;
  Do(draining, Drain{"d", 4});
  EXPECT_EQ(CodeOf(draining, AlterOf(draining, 0, {1, 2, 3, 4})), kRefused);
  Do(state, AlterOf(state, 0, {1, 2, 3, 4}));
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(state.shards[0].learners, IsEmpty());
}

TEST(AlterIsr, FillsElrBelowMinIsrAndEmptiesItAtMinIsr) {
  ClusterState state = OneShard(1);
  Do(state, AlterOf(state, 0, {1}));
  EXPECT_THAT(state.shards[0].elr, ElementsAre(2, 3));
  Do(state, AddLearner{0, 1, 2});
  EXPECT_THAT(state.shards[0].elr, ElementsAre(2, 3));
  Do(state, AlterOf(state, 0, {1, 2}));
  EXPECT_THAT(state.shards[0].elr, IsEmpty());
}

TEST(AddLearner, NeedsTheEpochAndAnUpNode) {
  ClusterState state = OneShard(1, 4);
  EXPECT_EQ(CodeOf(state, AddLearner{0, 2, 4}), kRefused);
  EXPECT_EQ(CodeOf(state, AddLearner{9, 1, 4}), absl::StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(state, AddLearner{0, 1, 77}), kRefused);
  EXPECT_FALSE(Do(state, AddLearner{0, 1, 2}));  // In sync already.
  EXPECT_TRUE(Do(state, AddLearner{0, 1, 4}));
  EXPECT_FALSE(Do(state, AddLearner{0, 1, 4}));
  EXPECT_TRUE(Do(state, RemoveLearner{0, 1, 4}));
  EXPECT_FALSE(Do(state, RemoveLearner{0, 1, 4}));
}

TEST(MovePrimary, IsAPlannedHandoffThatNamesTheOldPrimary) {
  ClusterState state = OneShard(1);
  MovePrimary move{0, 1, 1, 1, 2};
  EXPECT_TRUE(Do(state, move));
  EXPECT_EQ(state.shards[0].primary, 2u);
  EXPECT_EQ(state.shards[0].epoch, 2u);
  EXPECT_EQ(state.shards[0].no_wait, 1u);
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1, 2, 3));
  EXPECT_FALSE(Do(state, move));
  EXPECT_EQ(CodeOf(state, MovePrimary{0, 1, 1, 1, 3}), kRefused);
}

TEST(MovePrimary, NeedsAnElectableUpTarget) {
  ClusterState state = OneShard(1, 4);
  EXPECT_EQ(CodeOf(state, MovePrimary{0, 1, 1, 1, 4}), kRefused);
  EXPECT_EQ(CodeOf(state, MovePrimary{0, 1, 1, 1, 1}), kInvalid);
  EXPECT_EQ(CodeOf(state, MovePrimary{0, 1, 7, 1, 2}), kRefused);
  Do(state, Drain{"b", 2});
  EXPECT_EQ(CodeOf(state, MovePrimary{0, 1, 1, 1, 2}), kRefused);
}

TEST(MovePrimary, OfAPrimaryThatResignsElectsFromElr) {
  ClusterState state = OneShard(1);
  Do(state, AlterOf(state, 0, {1}));
  MovePrimary resign{0, 1, 2, 1, 0};
  EXPECT_TRUE(Do(state, resign));
  const ShardEntry& shard = state.shards[0];
  EXPECT_NE(shard.primary, 1u);
  EXPECT_THAT(shard.isr, ElementsAre(shard.primary));
  EXPECT_THAT(shard.elr, ElementsAre(1, shard.primary == 2 ? 3 : 2));
  EXPECT_FALSE(Do(state, resign));
}

TEST(Drain, GivesTheNodeNoNewPrimaryWhileAnotherCanServe) {
  ClusterState state = OneShard(1);
  Do(state, Drain{"b", 2});
  EXPECT_EQ(state.FindNode("b")->state, NodeState::kDraining);
  Do(state, FenceOf(state, "a"));
  EXPECT_EQ(state.shards[0].primary, 3u);
  EXPECT_THAT(state.shards[0].isr, ElementsAre(2, 3));
  Do(state, FenceOf(state, "c"));
  EXPECT_EQ(state.shards[0].primary, 2u) << "a draining node is better than none";
}

TEST(Leave, NeedsToBeNoVoterAndToHoldNoLastCopy) {
  ClusterState state = MakeCluster(4, 1);
  EXPECT_EQ(CodeOf(state, Leave{"a", 1}), kRefused);
  state.shards[0] = {};
  state.shards[0].isr = {4};
  state.shards[0].primary = 4;
  state.roles[0].min_isr = 1;
  EXPECT_EQ(CodeOf(state, Leave{"d", 4}), kRefused);
  Do(state, AddLearner{0, 1, 1});
  Do(state, AlterOf(state, 0, {1, 4}));
  Leave leave{"d", 4};
  EXPECT_TRUE(Do(state, leave));
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1));
  EXPECT_EQ(state.shards[0].primary, 1u);
  EXPECT_EQ(state.shards[0].no_wait, 0u) << "it may have read under a lease until now";
  EXPECT_FALSE(Do(state, leave));
}

TEST(Leave, IsRefusedWhileTheOtherCopiesAreOnNodesThatDoNotLive) {
  ClusterState state = MakeCluster(5, 1);
  std::erase_if(state.voters, [](const VoterId& voter) { return voter.node == "d"; });
  state.shards[0] = {};
  state.shards[0].isr = {4};
  state.shards[0].elr = {5};
  state.shards[0].primary = 4;
  Do(state, FenceOf(state, "e"));
  EXPECT_EQ(CodeOf(state, Leave{"d", 4}), kRefused);
  Do(state, UnfenceOf(state, "e"));
  Do(state, Drain{"e", 5});
  EXPECT_TRUE(Do(state, Leave{"d", 4})) << "one that drains waits for the next";
}

TEST(Leave, ForgetsTheOldestOfManyThatLeft) {
  ClusterState state = MakeCluster(3, 1);
  for (uint64_t i = 0; i < kLeftNodesKept + 5; ++i) {
    std::string name = "x" + std::to_string(1000 - i);
    Do(state, Rejoin(name, 100 + i, 0));
    Do(state, Leave{name, state.version});
  }
  EXPECT_EQ(state.nodes.size(), 3 + kLeftNodesKept);
  EXPECT_EQ(state.FindNode("x1000"), nullptr);
  EXPECT_NE(state.FindNode("x995"), nullptr);
}

TEST(MinIsr, RisesOnlyWithTheCopiesAndFallsOnlyByLeave) {
  ClusterState state = MakeCluster(2, 2);
  EXPECT_EQ(state.roles[0].min_isr, 1u);
  Do(state, Rejoin("c", 30, 0));
  EXPECT_EQ(state.roles[0].min_isr, 2u) << "three nodes, two copies everywhere";
  Do(state, FenceOf(state, "a"));
  Do(state, FenceOf(state, "b"));
  EXPECT_EQ(state.roles[0].min_isr, 2u);
  Do(state, UnfenceOf(state, "a"));
  Do(state, UnfenceOf(state, "b"));
  Do(state, Leave{"c", 3});
  EXPECT_EQ(state.roles[0].min_isr, 1u);
  for (const ShardEntry& shard : state.shards) EXPECT_THAT(shard.elr, IsEmpty());
}

TEST(MinIsr, WaitsForEveryShard) {
  ClusterState state = MakeCluster(1, 2);
  Do(state, Rejoin("b", 30, 0));
  Do(state, Rejoin("c", 31, 0));
  Boot b = state.FindNode("b")->boot;
  EXPECT_EQ(state.roles[0].min_isr, 1u);
  for (ShardId id : {0u, 1u}) {
    Do(state, AddLearner{id, 1, b});
    Do(state, AlterOf(state, id, {1, b}));
    EXPECT_EQ(state.roles[0].min_isr, id == 0 ? 1u : 2u);
  }
}

TEST(SetConfig, ChecksWhatTheOperatorWants) {
  ClusterState state = MakeCluster(3);
  EXPECT_EQ(CodeOf(state, SetConfig{2, 3}), kInvalid);
  EXPECT_EQ(CodeOf(state, SetConfig{1000, 0}), kInvalid);
  EXPECT_TRUE(Do(state, SetConfig{0, 3}));
  EXPECT_EQ(state.roles[0].min_isr, 3u);
  EXPECT_FALSE(Do(state, SetConfig{0, 3}));
  EXPECT_TRUE(Do(state, SetConfig{0, 1}));
  EXPECT_EQ(state.roles[0].min_isr, 1u);
}

TEST(Recover, StartsALostShardInANewLineage) {
  ClusterState state = OneShard(1);
  EXPECT_EQ(CodeOf(state, Recover{0, 1}), kRefused);
  for (const char* node : {"a", "b", "c"}) Do(state, FenceOf(state, node));
  DeclareLost give_up{0, 1, state.shards[0].epoch};
  EXPECT_TRUE(Do(state, give_up));
  EXPECT_FALSE(Do(state, give_up));
  EXPECT_EQ(state.shards[0].state, ShardState::kLost);
  EXPECT_EQ(CodeOf(state, Recover{0, 1}), kRefused) << "nobody is UP";
  Do(state, UnfenceOf(state, "b"));
  EXPECT_EQ(state.shards[0].state, ShardState::kLost);
  Epoch epoch = state.shards[0].epoch;
  EXPECT_TRUE(Do(state, Recover{0, 1}));
  EXPECT_FALSE(Do(state, Recover{0, 1}));
  EXPECT_EQ(state.shards[0].lineage, 2u);
  EXPECT_EQ(state.shards[0].epoch, epoch + 1);
  EXPECT_EQ(state.shards[0].primary, 2u);
}

TEST(DeclareLost, IsRefusedWhileAPrimaryServes) {
  EXPECT_EQ(CodeOf(OneShard(1), DeclareLost{0, 1, 1}), kRefused);
}

TEST(Voters, ChangeJointly) {
  ClusterState state = MakeCluster(4);
  std::vector<VoterId> from = state.voters, to = {from[1], from[2], {"d", Id128{1, 4}}};
  SetPendingVoters begin{from, to};
  EXPECT_EQ(CodeOf(state, SetPendingVoters{to, to}), kRefused);
  EXPECT_TRUE(Do(state, begin));
  EXPECT_FALSE(Do(state, begin));
  EXPECT_EQ(CodeOf(state, SetPendingVoters{from, {from[0]}}), kRefused);
  EXPECT_TRUE(Do(state, AdoptPendingVoters{to}));
  EXPECT_FALSE(Do(state, AdoptPendingVoters{to}));
  EXPECT_EQ(state.voters, to);
  EXPECT_THAT(state.pending, IsEmpty());
}

TEST(Voters, NewOnesAreCurrentProcessesOfUpNodes) {
  ClusterState state = MakeCluster(4);
  std::vector<VoterId> to = {state.voters[0], state.voters[1], {"d", Id128{9, 9}}};
  EXPECT_EQ(CodeOf(state, SetPendingVoters{state.voters, to}), kRefused);
  EXPECT_EQ(CodeOf(state, SetPendingVoters{state.voters, {}}), kInvalid);
}

TEST(Apply, RefusesAFormatItDoesNotKnow) {
  ClusterState state = MakeCluster(3);
  state.format = kClusterFormat + 1;
  EXPECT_EQ(CodeOf(state, FenceOf(state, "a")), kRefused);
  EXPECT_EQ(CodeOf(ClusterState{}, Recover{}), kRefused);
}

}  // namespace
}  // namespace troupe
