// The simulator itself: a few seeds run clean, and the same seed is the same run.
//
// TROUPE_SEEDS=A..B runs others than the few that every build runs; `./dev sim` does many at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

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
  EXPECT_GT(result.answered, 100u);
}

std::vector<uint64_t> Seeds() {
  uint64_t first = 1001, last = 1012;
  if (const char* range = std::getenv("TROUPE_SEEDS")) {
    char* rest = nullptr;
    first = last = std::strtoull(range, &rest, 10);
    if (rest[0] == '.' && rest[1] == '.') last = std::strtoull(rest + 2, nullptr, 10);
  }
  std::vector<uint64_t> seeds;
  for (uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  return seeds;
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeedsTest, ::testing::ValuesIn(Seeds()));

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
