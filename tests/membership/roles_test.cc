// Roles: shards of their own, on the nodes that host types of them.
#include <algorithm>
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "hosting_fixture.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr uint32_t kShards = 6;
const HostedType kA{1, "Account"}, kB{2, "Branch"}, kT{3, "Trainer", "gpu"}, kU{4, "Tuner", "gpu"};

ClusterState SmallClusterOf(const std::vector<Types>& hosted) { return ClusterOf(hosted, kShards); }
std::set<CopyId> CopiesOf(const ClusterState& state, const std::string& role) {
  const size_t index = state.FindRole(role, false);
  std::set<CopyId> all;
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    if (state.RoleOf(id) != index) continue;
    for (const CopySet* set : {&state.shards[id].isr, &state.shards[id].learners}) {
      all.insert(set->begin(), set->end());
    }
  }
  return all;
}
uint32_t MinIsrOf(const ClusterState& state, const std::string& role) {
  return state.roles[state.FindRole(role, false)].min_isr;
}

TEST(Roles, OfFoundersHaveShardsDefaultFirst) {
  const ClusterState state = SmallClusterOf({{kA, kT}, {kA}, {kA}});
  ASSERT_EQ(state.roles.size(), 2u);
  EXPECT_EQ(state.roles[0], (RoleEntry{"default", kShards, 2}));
  EXPECT_EQ(state.roles[1], (RoleEntry{"gpu", kShards, 1}));
  EXPECT_EQ(state.shards.size(), 2 * kShards);
  EXPECT_EQ(state.RoleOf(kShards - 1), 0u);
  EXPECT_EQ(state.RoleOf(kShards), 1u);
  EXPECT_EQ(state.RoleOf(2 * kShards - 1), 1u);
  EXPECT_EQ(state.FirstShardOf(1), kShards);
  EXPECT_EQ(state.RoleOfType(kT.id), 1u);
  EXPECT_EQ(state.RoleOfType(999), 0u);
  EXPECT_THAT(CopiesOf(state, "default"), ElementsAre(1, 2, 3));
  EXPECT_THAT(CopiesOf(state, "gpu"), ElementsAre(1));
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
}

TEST(Roles, ThatAreNewGetShardsBehindTheOthersWhichStay) {
  ClusterState state = SmallClusterOf({{kA}, {kA}, {kA}});
  const ClusterState before = state;
  Do(state, Joining("g", {kT}));
  ASSERT_EQ(state.shards.size(), 2 * kShards);
  for (ShardId id = 0; id < kShards; ++id) EXPECT_EQ(state.shards[id], before.shards[id]) << id;
  for (ShardId id = kShards; id < 2 * kShards; ++id) {
    EXPECT_EQ(state.shards[id].primary, 4u);
    EXPECT_EQ(state.shards[id].epoch, 1u);
    EXPECT_THAT(state.shards[id].isr, ElementsAre(4));
  }
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  Do(state, Joining("h", {kA, kT}));
  EXPECT_EQ(state.shards.size(), 2 * kShards) << "once";
}

TEST(Roles, KeepToTheirNodes) {
  ClusterState state = SmallClusterOf({{kA}, {kA}, {kT}, {kT}, {kA, kT}});
  Repair(state);
  Do(state, FenceOf(state, "b"));
  Do(state, FenceOf(state, "c"));
  Repair(state);
  for (const WantedMove& move : PlanMoves(state, 100)) {
    EXPECT_GT(Copies(state).TypesAt(move.to, move.shard), 0u);
  }
  EXPECT_THAT(CopiesOf(state, "default"), ElementsAre(1, 5));
  EXPECT_THAT(CopiesOf(state, "gpu"), ElementsAre(4, 5));
  EXPECT_EQ(CodeOf(state, AddLearner{kShards, state.shards[kShards].epoch, 1}),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(state, AddLearner{0, state.shards[0].epoch, 4}),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Roles, HaveAMinIsrOfTheirOwn) {
  ClusterState state = SmallClusterOf({{kA}, {kA}, {kA}, {kT}});
  EXPECT_EQ(MinIsrOf(state, "default"), 2u);
  EXPECT_EQ(MinIsrOf(state, "gpu"), 1u);
  Do(state, Joining("e", {kT}));
  Do(state, Joining("f", {kT}));
  EXPECT_EQ(MinIsrOf(state, "gpu"), 1u) << "they have no copies yet";
  Repair(state);
  EXPECT_EQ(MinIsrOf(state, "gpu"), 2u);
  EXPECT_EQ(state.min_isr(0), 2u);
  Do(state, FenceOf(state, "e"));
  Do(state, FenceOf(state, "f"));
  EXPECT_EQ(MinIsrOf(state, "gpu"), 2u);
  for (ShardId id = kShards; id < 2 * kShards; ++id) {
    EXPECT_EQ(state.shards[id].elr.size(), 1u) << "electable below the role's min_isr";
  }
}

TEST(Roles, AreEvenedOutEachByItself) {
  ClusterState state = SmallClusterOf({{kA, kT}, {kA}});
  Do(state, Joining("g", {kA, kT}));
  Repair(state);
  int rounds = 0;
  std::vector<WantedMove> moves;
  while (!(moves = PlanMoves(state, 8)).empty()) {
    ASSERT_LT(++rounds, 20) << "moves do not end";
    for (const WantedMove& move : moves) {
      const ShardEntry& shard = state.shards[move.shard];
      Do(state, MovePrimary{move.shard, shard.epoch, shard.isr_version, move.from, move.to});
    }
  }
  std::map<std::pair<size_t, CopyId>, int> led;
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    ++led[{state.RoleOf(id), state.shards[id].primary}];
  }
  for (CopyId copy : {1, 2, 3}) EXPECT_EQ((led[{0, copy}]), 2) << copy;
  for (CopyId copy : {1, 3}) EXPECT_EQ((led[{1, copy}]), 3) << copy;
}

TEST(Roles, AreComparedEachByItself) {
  const ClusterState state = SmallClusterOf({{kA, kB}, {kA, kT}});
  EXPECT_EQ(CodeOf(state, Joining("x", {kT, kU})), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(state, Joining("x", {kA})), absl::StatusCode::kOk);
  const absl::Status refused = Apply(state, Joining("x", {kA, kU})).status();
  EXPECT_EQ(refused.code(), kInvalid);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("node x hosts Account, Tuner (gpu)"),
                    HasSubstr("node b hosts Account, Trainer (gpu)"), HasSubstr("role by role"),
                    HasSubstr("does not fit: b")));
}

TEST(Roles, AreKeptByTypes) {
  ClusterState state = SmallClusterOf({{kA, kT}, {kA}});
  const HostedType moved{kT.id, kT.name, "default"};
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, moved})), kInvalid);
  Do(state, FenceOf(state, "a"));
  const absl::Status refused = Apply(state, Joining("x", {kA, moved})).status();
  EXPECT_EQ(refused.code(), kInvalid) << "its actors are in the shards of gpu";
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("Trainer in role default"), HasSubstr("shards of role gpu")));
}

TEST(Roles, AreBounded) {
  const ClusterState state = SmallClusterOf({{kA}});
  Types types = {kA};
  for (uint64_t i = 1; i < kRolesMax; ++i) types.push_back({10 + i, "T", "r" + std::to_string(i)});
  EXPECT_EQ(CodeOf(state, Joining("x", types)), absl::StatusCode::kOk);
  types.push_back({100, "T", "one-more"});
  EXPECT_EQ(CodeOf(state, Joining("x", types)), kInvalid);
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, {5, "T", ""}})), kInvalid);
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, {5, "T", std::string(kTextBytesMax + 1, 'r')}})),
            kInvalid);
}

}  // namespace
}  // namespace troupe
