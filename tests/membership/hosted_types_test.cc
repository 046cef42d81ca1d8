// Hosted types: who fits with whom, what the table remembers, and where copies and primaries go.
#include "troupe/membership/hosted_types.h"

#include <algorithm>
#include <set>

#include "gmock/gmock.h"
#include "hosting_fixture.h"
#include "troupe/membership/limits.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
const HostedType kA{1, "Account"}, kB{2, "Branch"}, kC{3, "Card"};

Register Restarting(const ClusterState& state, const std::string& node, Types types) {
  return Hosting(Rejoin(node, 1000 + state.version, state.FindNode(node)->boot), std::move(types));
}

void Move(ClusterState& state, const WantedMove& move) {
  const ShardEntry& shard = state.shards[move.shard];
  Do(state, MovePrimary{move.shard, shard.epoch, shard.isr_version, move.from, move.to});
}
std::set<CopyId> CopiesOf(const ClusterState& state) {
  std::set<CopyId> all;
  for (const ShardEntry& shard : state.shards) {
    for (const CopySet* set : {&shard.isr, &shard.elr, &shard.learners}) {
      all.insert(set->begin(), set->end());
    }
  }
  return all;
}
std::set<CopyId> PrimariesOf(const ClusterState& state) {
  std::set<CopyId> all;
  for (const ShardEntry& shard : state.shards) all.insert(shard.primary);
  return all;
}

// ---- Who fits with whom

TEST(HostedTypes, FitWhenOneSetHoldsTheOther) {
  EXPECT_TRUE(Fit({kA, kB}, {kA, kB}));
  EXPECT_TRUE(Fit({kA, kB}, {kA}));
  EXPECT_TRUE(Fit({kB}, {kA, kB}));
  EXPECT_TRUE(Fit({}, {kA}));
  EXPECT_FALSE(Fit({kA}, {kB}));
  EXPECT_FALSE(Fit({kA, kB}, {kA, kC}));
}

TEST(HostedTypes, AreInTheTableAndAtTheNodesThatSaidSo) {
  ClusterState state = ClusterOf({{kA}, {kA, kB}});
  EXPECT_THAT(state.types, ElementsAre(kA, kB));
  EXPECT_THAT(state.FindNode("a")->types, ElementsAre(1));
  Do(state, Joining("c", {kA, kB, kC}));
  EXPECT_THAT(state.types, ElementsAre(kA, kB, kC));
  EXPECT_THAT(state.FindNode("c")->types, ElementsAre(1, 2, 3));
  EXPECT_EQ(state.FindType(2)->name, "Branch");
  EXPECT_EQ(state.FindType(9), nullptr);
  EXPECT_EQ(ListHosts(state, 2), "b, c");
  EXPECT_EQ(ListHosts(state, 9), "");
}

TEST(HostedTypes, OfAnotherProgramAreRefusedWithWhatEachHosts) {
  const ClusterState state = ClusterOf({{kA, kB}, {kA, kB}, {}});
  const absl::Status refused = Apply(state, Joining("x", {kC})).status();
  EXPECT_EQ(refused.code(), kInvalid);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("node x hosts Card"), HasSubstr("node a hosts Account, Branch"),
                    HasSubstr("cluster of its own"), HasSubstr("does not fit: a, b")));
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, kC})), kInvalid);
  EXPECT_LT(refused.message().size(), 1024u) << "more is cut on its way";
}

TEST(HostedTypes, MayDifferAsInARollingUpgrade) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  for (const char* node : {"a", "b", "c"}) Do(state, Restarting(state, node, {kA, kB}));
  EXPECT_THAT(state.FindNode("c")->types, ElementsAre(1, 2));
  for (const char* node : {"a", "b", "c"}) Do(state, Restarting(state, node, {kB}));
  EXPECT_THAT(state.types, ElementsAre(kA, kB)) << "what is stored of a dropped type has its name";
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
}

TEST(HostedTypes, OfTheProcessThatIsReplacedDoNotCount) {
  ClusterState state = ClusterOf({{kA}});
  EXPECT_TRUE(Do(state, Restarting(state, "a", {kB})));
}

TEST(HostedTypes, OfNodesThatAreNotThereDoNotCount) {
  ClusterState state = ClusterOf({{kA, kB}, {kA}, {kA}});
  Do(state, FenceOf(state, "a"));
  EXPECT_TRUE(Do(state, Joining("x", {kA, kC})));
  EXPECT_EQ(CodeOf(state, UnfenceOf(state, "a")), kInvalid) << "x came meanwhile";
  Do(state, FenceOf(state, "x"));
  EXPECT_TRUE(Do(state, UnfenceOf(state, "a")));
}

TEST(HostedTypes, OfADrainingNodeStillCount) {
  ClusterState state = ClusterOf({{kA}, {}});
  Do(state, Drain{"a", state.FindNode("a")->boot});
  EXPECT_EQ(CodeOf(state, Joining("x", {kC})), kInvalid);
}

TEST(HostedTypes, HaveOneName) {
  ClusterState state = ClusterOf({{kA}, {kA}});
  const HostedType renamed{kA.id, "Konto"};
  const absl::Status refused = Apply(state, Joining("x", {renamed})).status();
  EXPECT_EQ(refused.code(), kInvalid);
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("as Konto"), HasSubstr("node a"), HasSubstr("as Account"),
                    HasSubstr("@0x0000000000000001")));
  Do(state, FenceOf(state, "a"));
  Do(state, FenceOf(state, "b"));
  EXPECT_TRUE(Do(state, Joining("x", {renamed})));
  EXPECT_EQ(state.FindType(kA.id)->name, "Konto");
}

TEST(HostedTypes, AreBoundedBeforeTheyAreBelieved) {
  const ClusterState state = ClusterOf({{kA}});
  Types many;
  for (uint64_t id = 1; id <= kTypesMax + 1; ++id) many.push_back({id, "T"});
  many[0] = kA;
  EXPECT_EQ(CodeOf(state, Joining("x", many)), kInvalid);
  many.pop_back();
  EXPECT_EQ(CodeOf(state, Joining("x", many)), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, kA})), kInvalid);
  EXPECT_EQ(CodeOf(state, Joining("x", {kB, kA})), kInvalid) << "not sorted";
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, {5, ""}})), kInvalid);
  EXPECT_EQ(CodeOf(state, Joining("x", {kA, {5, std::string(kTextBytesMax + 1, 'n')}})), kInvalid);
}

TEST(HostedTypes, ThatNobodyHostsMakeRoom) {
  ClusterState state = ClusterOf({{kA}});
  for (uint64_t batch = 1; batch <= 4; ++batch) {  // Each program drops the one before.
    Types types;
    for (uint64_t i = 0; i < kTypesMax / 2; ++i) types.push_back({batch * 1000 + i, "T"});
    ASSERT_TRUE(Do(state, Restarting(state, "a", types)));
    EXPECT_LE(state.types.size(), kTypesMax);
    EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  }
}

TEST(HostedTypes, AreListedShortly) {
  EXPECT_EQ(ListTypes({kC, kA}), "Account, Card");
  EXPECT_EQ(ListTypes({}), "nothing");
  Types many;
  for (uint64_t id = 1; id <= 9; ++id) many.push_back({id, "T" + std::to_string(id)});
  EXPECT_EQ(ListTypes(many), "T1, T2, T3, T4, T5, T6 and 3 more");
  EXPECT_THAT(ListTypes({{1, std::string(200, 'x')}}), HasSubstr("xxx..."));
}

// ---- Nodes that host nothing

TEST(HostlessNodes, GetNoCopyAtFounding) {
  const ClusterState state = ClusterOf({{kA}, {}, {kA}});
  EXPECT_THAT(CopiesOf(state), ElementsAre(1, 3));
  EXPECT_THAT(PrimariesOf(state), ElementsAre(1, 3));
  EXPECT_EQ(state.voters.size(), 3u) << "it votes";
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
}

TEST(HostlessNodes, GetNoCopyByRepairsMovesElectionsOrCommand) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  Do(state, Joining("m", {}));
  const Boot member = state.FindNode("m")->boot;
  EXPECT_EQ(CodeOf(state, AddLearner{0, state.shards[0].epoch, member}),
            absl::StatusCode::kFailedPrecondition);
  Do(state, FenceOf(state, "a", Fence::Grounds::kProofOfDeath));
  Repair(state);
  for (const WantedMove& move : PlanMoves(state, 100)) EXPECT_NE(move.to, member);
  EXPECT_THAT(CopiesOf(state), Not(Contains(member)));
  Do(state, Joining("d", {kA}));
  Repair(state);
  EXPECT_THAT(CopiesOf(state), Contains(state.FindNode("d")->boot));
  EXPECT_THAT(CopiesOf(state), Not(Contains(member)));
}

TEST(HostlessNodes, AreNotWhereALostShardStartsAgain) {
  ClusterState state = ClusterOf({{kA}, {}}, 1);
  Do(state, Restarting(state, "a", {}));
  ASSERT_EQ(state.shards[0].state, ShardState::kLost);
  EXPECT_EQ(CodeOf(state, Recover{0, 1}), absl::StatusCode::kFailedPrecondition);
  Do(state, Joining("h", {kA}));
  Do(state, Recover{0, 1});
  EXPECT_EQ(state.shards[0].primary, state.FindNode("h")->boot);
}

TEST(HostlessNodes, DoNotCountForReplicasAndMinIsr) {
  ClusterState state = ClusterOf({{kA}, {kA}, {}, {}});
  EXPECT_EQ(state.roles[0].min_isr, 1u) << "two can hold copies";
  Repair(state);
  EXPECT_THAT(PlanRepairs(state, 100), IsEmpty()) << "two copies are all there can be";
  Do(state, Joining("h", {kA}));
  Repair(state);
  EXPECT_EQ(state.roles[0].min_isr, 2u);
  EXPECT_EQ(state.shards[0].isr.size(), 3u);
  Do(state, Joining("i", {}));
  EXPECT_EQ(state.roles[0].min_isr, 2u);
}

TEST(HostlessNodes, ThatCameBackSoDoNotLowerMinIsr) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  Do(state, Restarting(state, "c", {}));
  EXPECT_EQ(state.roles[0].min_isr, 2u);
}

TEST(HostlessNodes, AloneLeaveAllShardsLost) {
  const ClusterState state = ClusterOf({{}, {}});
  EXPECT_TRUE(Validate(state).ok()) << Validate(state);
  EXPECT_EQ(state.shards[0].state, ShardState::kLost);
}

// ---- Nodes that host more than others

TEST(FullerNodes, LeadWhereTheyHaveACopy) {
  const ClusterState state = ClusterOf({{kA}, {kA, kB}, {kA}, {kA, kB}});
  for (const ShardEntry& shard : state.shards) {
    EXPECT_THAT((std::set<CopyId>{2, 4}), Contains(shard.primary)) << "one of three is fuller";
  }
}

TEST(FullerNodes, AreElected) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  Do(state, Restarting(state, "b", {kA, kB}));
  Repair(state);
  const Boot fuller = state.FindNode("b")->boot;
  const ClusterState before = state;
  Do(state, FenceOf(state, "c"));
  std::vector<CopyId> heirs;
  for (ShardId id = 0; id < state.shards.size(); ++id) {
    if (before.shards[id].primary == 3) heirs.push_back(state.shards[id].primary);
  }
  EXPECT_THAT(heirs, AllOf(Not(IsEmpty()), Each(fuller)));
}

TEST(FullerNodes, TakeOverFromOneThatDrains) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  Do(state, Restarting(state, "b", {kA, kB}));
  Repair(state);
  Do(state, Drain{"c", 3});
  const std::vector<WantedMove> moves = PlanMoves(state, 100);
  ASSERT_THAT(moves, Not(IsEmpty()));
  for (const WantedMove& move : moves) {
    EXPECT_EQ(move.from, 3u);
    EXPECT_EQ(move.to, state.FindNode("b")->boot);
  }
}

TEST(FullerNodes, TakeTheirShareAndKeepWhatTheyHave) {
  ClusterState state = ClusterOf({{kA}, {kA}, {kA}});
  Do(state, Restarting(state, "b", {kA, kB}));
  Repair(state);
  const Boot fuller = state.FindNode("b")->boot;
  std::vector<WantedMove> moves;
  int rounds = 0;
  while (!(moves = PlanMoves(state, 8)).empty()) {
    ASSERT_LT(++rounds, 20) << "moves do not end";
    for (const WantedMove& move : moves) {
      EXPECT_NE(move.from, fuller);
      Move(state, move);
    }
  }
  const auto led = std::count_if(state.shards.begin(), state.shards.end(),
                                 [&](const ShardEntry& shard) { return shard.primary == fuller; });
  EXPECT_EQ(led, 4) << "of 12, by three: not more for what it hosts";
  Do(state, FenceOf(state, "c"));
  EXPECT_THAT(PlanMoves(state, 100), Each(testing::Field(&WantedMove::from, testing::Ne(fuller))));
}

}  // namespace
}  // namespace troupe
