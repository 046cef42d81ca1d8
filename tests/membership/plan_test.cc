// Plans: repairs lead to a whole cluster and end; moves even out and end.
#include <algorithm>
#include <map>

#include "cluster_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One round: what is planned is done, and learners catch up at once. False when nothing is left.
bool RepairOnce(ClusterState& state) {
  std::vector<Command> plan = PlanRepairs(state, 5);
  EXPECT_LE(plan.size(), 5u);
  for (const Command& command : plan) EXPECT_TRUE(Do(state, command)) << Describe(command);
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    std::vector<CopyId> isr = state.shards[id].isr;
    const std::vector<CopyId>& learners = state.shards[id].learners;
    if (learners.empty()) continue;
    isr.insert(isr.end(), learners.begin(), learners.end());
    std::sort(isr.begin(), isr.end());
    Do(state, AlterOf(state, id, isr));
  }
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  return !plan.empty();
}

void Repair(ClusterState& state) {
  int rounds = 0;
  while (RepairOnce(state)) ASSERT_LT(++rounds, 100) << "repairs do not end";
}

TEST(PlanRepairs, IsEmptyWhenAllIsWell) {
  EXPECT_THAT(PlanRepairs(MakeCluster(3), 100), IsEmpty());
  EXPECT_THAT(PlanRepairs(MakeCluster(1), 100), IsEmpty());
}

TEST(PlanRepairs, GrowsCopiesAndVotersAsNodesJoin) {
  ClusterState state = MakeCluster(1);
  for (int i = 1; i < 5; ++i) {
    Do(state, Rejoin(std::string(1, static_cast<char>('a' + i)), 50 + i, 0));
    Repair(state);
    EXPECT_EQ(state.voters.size(), i >= 4 ? 5u : i >= 2 ? 3u : 1u);
    for (const ShardEntry& shard : state.shards) {
      EXPECT_EQ(shard.isr.size(), std::min<size_t>(3, i + 1));
    }
  }
  EXPECT_EQ(state.roles[0].min_isr, 2u);
}

TEST(VotersAreWhole, OnlyWhenNoChangeIsUnderWayOrDue) {
  ClusterState state = MakeCluster(3);
  EXPECT_TRUE(VotersAreWhole(state));
  Do(state, Rejoin("c", 90, state.FindNode("c")->boot));
  EXPECT_FALSE(VotersAreWhole(state)) << "the vote of c went with its process";
  const std::vector<VoterId> wanted = WantedVoters(state);
  Do(state, SetPendingVoters{state.voters, wanted});
  EXPECT_FALSE(VotersAreWhole(state)) << "a change is under way";
  Do(state, AdoptPendingVoters{wanted});
  EXPECT_TRUE(VotersAreWhole(state));
}

TEST(VotersAreWhole, WithTwoOfThreeLeftAsTheyCannotBeMore) {
  ClusterState state = MakeCluster(3);
  Do(state, FenceOf(state, "c"));
  EXPECT_TRUE(VotersAreWhole(state)) << "a restarted node must come to be ready without the third";
  Do(state, Rejoin("d", 91, 0));
  EXPECT_FALSE(VotersAreWhole(state)) << "three are UP";
}

TEST(PlanRepairs, BeginsWithTheShardClosestToLoss) {
  ClusterState state = MakeCluster(3, 3);
  CopyId primary = state.shards[0].primary;
  Do(state, AlterOf(state, 0, primary == 3 ? CopySet{1, 3} : CopySet{primary, 3}));
  Do(state, AlterOf(state, 2, {state.shards[2].primary}));
  std::vector<Command> plan = PlanRepairs(state, 1);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(std::get<AddLearner>(plan[0]).shard, 2u);
}

TEST(PlanRepairs, ReplacesAFencedVoterByAnUpNode) {
  ClusterState state = MakeCluster(4);
  ASSERT_EQ(state.voters[0].node, "a");
  Do(state, FenceOf(state, "a"));
  Repair(state);
  EXPECT_EQ(state.voters.size(), 3u);
  EXPECT_EQ(state.voters[2].node, "d");
}

TEST(PlanRepairs, KeepsAFencedVoterForWantOfAnother) {
  ClusterState state = MakeCluster(3);
  std::vector<VoterId> voters = state.voters;
  Do(state, FenceOf(state, "a"));
  Repair(state);
  EXPECT_EQ(state.voters, voters);
  Do(state, Rejoin("a", 90, 1));  // Another process: another voter.
  Repair(state);
  EXPECT_EQ(state.voters[0], (VoterId{"a", Id128{1, 90}}));
}

TEST(PlanRepairs, LeavesOneVoterWhenOneOfThreeDrains) {
  ClusterState state = MakeCluster(3);
  Do(state, Drain{"a", 1});
  Repair(state);
  EXPECT_EQ(state.voters.size(), 1u);
  EXPECT_NE(state.voters[0].node, "a");
  EXPECT_TRUE(Do(state, Leave{"a", 1}));
}

TEST(PlanRepairs, ReplacesTheCopiesOfADrainingNode) {
  ClusterState state = MakeCluster(4, 1);
  state.shards[0].isr = {1, 2, 3};
  state.shards[0].primary = 2;
  Do(state, Drain{"a", 1});
  Repair(state);
  EXPECT_THAT(state.shards[0].isr, ElementsAre(1, 2, 3, 4));
}

TEST(PlanMoves, EvenOutPrimariesAndStop) {
  ClusterState state = MakeCluster(3, 30);
  for (ShardEntry& shard : state.shards) shard.primary = 1;
  EXPECT_EQ(PlanMoves(state, 7).size(), 7u);
  std::map<CopyId, int> gained;
  std::vector<WantedMove> moves = PlanMoves(state, 100);
  EXPECT_EQ(moves.size(), 20u);
  for (const WantedMove& move : moves) {
    EXPECT_EQ(move.from, 1u);
    ++gained[move.to];
    Do(state, MovePrimary{move.shard, 1, 1, 1, move.to});
  }
  EXPECT_EQ(gained[2], 10);
  EXPECT_EQ(gained[3], 10);
  EXPECT_THAT(PlanMoves(state, 100), IsEmpty());
}

TEST(PlanMoves, WaitForFullReplicationButNotForADrain) {
  ClusterState state = MakeCluster(3, 30);
  for (ShardEntry& shard : state.shards) shard.primary = 1;
  Do(state, AlterOf(state, 3, {1, 2}));
  EXPECT_THAT(PlanMoves(state, 100), IsEmpty());
  Do(state, Drain{"a", 1});
  EXPECT_EQ(PlanMoves(state, 100).size(), 30u);
}

}  // namespace
}  // namespace troupe
