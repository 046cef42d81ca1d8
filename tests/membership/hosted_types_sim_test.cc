// Hosted types among members on virtual time: who is told that it does not fit, and ends.
#include <algorithm>

#include "gmock/gmock.h"
#include "membership_world.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Names = std::vector<std::string>;
using Types = std::vector<HostedType>;

const HostedType kOne{1, "One"}, kTwo{2, "Two"}, kThree{3, "Three"};

// Every test runs with several seeds; TROUPE_SEEDS=A..B chooses others.
class HostedTypesSim : public testing::TestWithParam<uint64_t> {
 protected:
  HostedTypesSim() : world_(GetParam()) { world_.AddMachines(names_); }

  void Start(const std::string& name, Types types, const Names& seeds, uint32_t expect = 1) {
    auto options = world_.OptionsOf(name, seeds, expect);
    options.types = std::move(types);
    world_.Start(name, options);
  }
  void Found(const std::vector<Types>& types) {
    for (size_t i = 0; i < names_.size(); ++i) Start(names_[i], types[i], names_, 3);
    ASSERT_TRUE(world_.Until([&] { return world_.Formed(names_); }, absl::Seconds(5)))
        << world_.Log();
  }
  bool IsTold(const std::string& name, absl::Duration limit = absl::Seconds(5)) {
    return world_.Until([&] { return !world_[name].unfit.empty(); }, limit);
  }
  size_t CopiesOf(const std::string& name) {
    const auto map = world_["a"].map();
    const Boot boot = map->FindNode(name)->boot;
    return static_cast<size_t>(
        std::count_if(map->shards.begin(), map->shards.end(), [&](const ShardEntry& shard) {
          return std::count(shard.isr.begin(), shard.isr.end(), boot) +
                     std::count(shard.learners.begin(), shard.learners.end(), boot) >
                 0;
        }));
  }

  const Names names_ = {"a", "b", "c"};
  MembershipWorld world_;
};

INSTANTIATE_TEST_SUITE_P(Seed, HostedTypesSim, testing::ValuesIn(SeedsOr(1, 3)));

TEST_P(HostedTypesSim, OfAnotherProgramAreRefusedOnceAndForAll) {
  Found({{kOne}, {kOne}, {kOne}});
  Start("x", {kTwo}, names_);
  ASSERT_TRUE(IsTold("x")) << world_.Log();
  EXPECT_THAT(
      world_["x"].unfit.front(),
      AllOf(HasSubstr("node x hosts Two"), HasSubstr("node a hosts One"), HasSubstr("a, b, c")));
  const uint64_t version = world_["a"].map()->version;
  world_.world().RunFor(absl::Seconds(10));
  EXPECT_THAT(world_["x"].unfit, SizeIs(1)) << "it asks no more";
  EXPECT_EQ(world_["x"].boot(), 0u);
  EXPECT_EQ(world_["a"].map()->version, version);
  EXPECT_EQ(world_["a"].map()->FindNode("x"), nullptr);
}

TEST_P(HostedTypesSim, OfANewerProgramMayBeMore) {
  Found({{kOne}, {kOne}, {kOne}});
  Start("x", {kOne, kTwo}, names_);
  EXPECT_TRUE(world_.Until(
      [&] {
        return world_.Formed({"a", "b", "c", "x"});
      },
      absl::Seconds(5)))
      << world_.Log();
  EXPECT_EQ(world_["c"].map()->FindType(2)->name, "Two");
}

TEST_P(HostedTypesSim, OfAFounderThatDoesNotFitAreToldAndAnotherTakesItsPlace) {
  Start("a", {kOne, kTwo}, names_, 3);
  Start("b", {kTwo, kThree}, names_, 3);
  Start("c", {kTwo}, names_, 3);
  ASSERT_TRUE(IsTold("b")) << world_.Log();
  EXPECT_THAT(world_["b"].unfit.front(),
              AllOf(HasSubstr("node b hosts Three, Two"), HasSubstr("node a hosts One, Two")));
  world_.Kill("b");
  world_.world().RunFor(absl::Seconds(3));
  EXPECT_THAT(world_["a"].unfit, IsEmpty());
  EXPECT_THAT(world_["c"].unfit, IsEmpty());
  world_.world().Restart("b");
  Start("b", {kOne, kTwo}, names_, 3);
  EXPECT_TRUE(world_.Until([&] { return world_.Formed(names_); }, absl::Seconds(15)))
      << world_.Log();
}

TEST_P(HostedTypesSim, FoundNoClusterWhereThereAreNone) {
  Start("lone", {}, {});
  ASSERT_TRUE(IsTold("lone")) << world_.Log();
  EXPECT_THAT(world_["lone"].unfit.front(),
              HasSubstr("no cluster is founded: lone hosts no types"));
  for (const auto& name : names_) Start(name, {}, names_, 3);
  ASSERT_TRUE(IsTold("a")) << world_.Log();
  EXPECT_THAT(world_["a"].unfit.front(), HasSubstr("a, b, c host no types"));
  EXPECT_EQ(world_["b"].map(), nullptr);
}

TEST_P(HostedTypesSim, OfNobodyMakeAMemberThatVotesWithoutCopies) {
  Found({{kOne}, {}, {kOne}});
  ASSERT_TRUE(world_.Until([&] { return world_.Voters("a") == 3; }, absl::Seconds(2)));
  EXPECT_EQ(CopiesOf("b"), 0u);
  EXPECT_EQ(CopiesOf("a"), 8u);
  const Boot boot = world_["c"].boot();
  world_.Kill("c");
  EXPECT_TRUE(world_.Until([&] { return !world_["a"].map()->IsUp(boot); }, absl::Seconds(5)))
      << "b's vote is needed\n"
      << world_.Log();
  world_.world().RunFor(absl::Seconds(2));
  EXPECT_EQ(CopiesOf("b"), 0u);
  for (const auto& shard : world_["a"].map()->shards) {
    EXPECT_EQ(shard.primary, world_["a"].boot());
  }
}

TEST_P(HostedTypesSim, OfAFencedNodeDoNotFitWhoCameMeanwhile) {
  Found({{kOne}, {kOne}, {kOne, kTwo}});
  world_.world().RunFor(absl::Seconds(1));
  const NodeEntry c = *world_["a"].map()->FindNode("c");
  auto fenced = world_["a"]->Submit(Fence{"c", c.boot, c.generation}).eagerlyEvaluate(nullptr);
  ASSERT_TRUE(world_.Until([&] { return world_.StateIn("c", "c") == NodeState::kFenced; },
                           absl::Seconds(2)));
  Start("x", {kOne, kThree}, names_);
  ASSERT_TRUE(world_.Until(
      [&] {
        return world_.Formed({"a", "b", "x"});
      },
      absl::Seconds(1)))
      << world_.Log();
  ASSERT_TRUE(IsTold("c")) << world_.Log();
  EXPECT_THAT(world_["c"].unfit.front(), HasSubstr("node x hosts One, Three"));
}

}  // namespace
}  // namespace troupe
