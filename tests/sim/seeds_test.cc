// The simulator itself: a few seeds run clean, and the same seed is the same run.
//
// TROUPE_SEEDS=A..B runs others than the few that every build runs; `./dev sim` does many at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "../seeds.h"
#include "absl/strings/str_join.h"
#include "troupe/sim/run.h"

namespace troupe::sim {
namespace {

RunOptions Seed(uint64_t seed) {
  RunOptions options;
  options.seed = seed;
  return options;
}

class SeedsTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SeedsTest, NothingAnsweredIsLostAndTheClusterServesAgain) {
  const auto result = RunSeed(Seed(GetParam()));
  EXPECT_TRUE(result.problems.empty())
      << absl::StrJoin(result.problems, "\n") << "\n./dev sim --seeds " << GetParam() << " --trace";
  const bool trial = GetParam() % 2 == 0;  // Some of them end after a few seconds.
  EXPECT_GT(result.answered, trial ? 30u : 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeedsTest, ::testing::ValuesIn(SeedsOr(1, 12)));

class KindTest : public ::testing::TestWithParam<const Nemesis*> {};

// Each kind of fault by itself: more of it than a mixture has.
TEST_P(KindTest, NothingAnsweredIsLostAndTheClusterServesAgain) {
  RunOptions options = Seed(1);
  options.choice = RunOptions::Choice::kThese;
  options.nemeses = {GetParam()};
  options.nodes = 4;
  options.duration = absl::Seconds(6);
  options.budget = BudgetChoice::kWithin;
  const auto result = RunSeed(options);
  EXPECT_TRUE(result.problems.empty()) << absl::StrJoin(result.problems, "\n");
  EXPECT_FALSE(result.said.empty());
}

std::vector<const Nemesis*> Kinds() {
  std::vector<const Nemesis*> kinds;
  for (const auto& nemesis : AllNemeses()) kinds.push_back(&nemesis);
  return kinds;
}

std::string KindName(const ::testing::TestParamInfo<const Nemesis*>& info) {
  std::string name(info.param->name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, KindTest, ::testing::ValuesIn(Kinds()), KindName);

TEST(RunTest, AClusterThatNeverServesIsAFailureThatSaysWhatItIsStuckAt) {
  RunOptions options = Seed(1);
  options.adjust = [](ClusterOptions& cluster) {
    cluster.world.link = {absl::Hours(1), absl::Hours(1)};
  };
  const auto result = RunSeed(options);
  ASSERT_FALSE(result.problems.empty());
  EXPECT_THAT(result.problems.front(), ::testing::HasSubstr("stuck: within 1m"));
}

TEST(RunTest, WhatAWatcherSeesIsAFailure) {
  RunOptions options = Seed(1);
  options.duration = absl::Seconds(1);
  options.watch = [](Cluster&, RunOptions::Problem problem) {
    return [problem, told = false]() mutable {
      if (!std::exchange(told, true)) problem("seen");
    };
  };
  EXPECT_EQ(RunSeed(options).problems, std::vector<std::string>{"seen"});
}

TEST(RunTest, BeyondTheFaultBudgetLostStateIsSaidAndCanBeBegunAnew) {
  size_t lost = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    RunOptions options = Seed(seed);
    options.choice = RunOptions::Choice::kThese;
    options.nemeses = {FindNemesis("kill-many"), FindNemesis("fast-restart")};
    options.nodes = 3;
    options.budget = BudgetChoice::kBeyond;
    const auto result = RunSeed(options);
    EXPECT_TRUE(result.problems.empty()) << absl::StrJoin(result.problems, "\n");
    lost += result.lost_shards;
  }
  EXPECT_GT(lost, 0u);
}

RunOptions Brief(uint64_t seed) {
  RunOptions options = Seed(seed);
  options.nodes = 3;
  options.duration = absl::Seconds(3);
  return options;
}

TEST(SeedsHashTest, TheSameSeedIsTheSameRunTwice) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(RunSeed(Brief(seed)).trace_hash, RunSeed(Brief(seed)).trace_hash) << "seed " << seed;
  }
}

TEST(SeedsHashTest, OtherSeedsAreOtherRuns) {
  EXPECT_NE(RunSeed(Brief(1)).trace_hash, RunSeed(Brief(2)).trace_hash);
}

}  // namespace
}  // namespace troupe::sim
