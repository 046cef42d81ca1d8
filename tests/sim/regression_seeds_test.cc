// What seeds of the simulator have found, so that it is not found again.
//
// A seed is a run of this simulator with these nodes: when either changes, the same number is
// another run and may no longer come near what it once showed. So each entry names the commit at
// which it failed and the directed test that stands for it whatever the seed has become; where
// there is none yet, it is here. TROUPE_SEEDS does not touch these.
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "cluster_fixture.h"
#include "troupe/sim/run.h"

namespace troupe {
namespace {

struct Regression {
  uint64_t seed;
  const char* prefix;    // Empty: as the seed draws it; "none": a storm.
  const char* found_at;  // The commit before the fix.
  const char* what;
  const char* directed;
};

constexpr Regression kRegressions[] = {
    {77, "none", "d4c2d86~1", "calls on a link that a newer run replaced waited for their deadline",
     "cluster_test: ClusterTest.CallsToARunThatWasReplacedWithoutAWordAreSentAgain"},
    {215, "none", "d4c2d86~1", "the same, as a primary came back", "as for 77"},
    {485, "none", "d4c2d86~1", "the same, under a split", "as for 77"},
    {790, "handoff", "b0a7e13",
     "a leave at its limit ended the only copy in the ISR, with its learners a second away",
     "leave_test: LeaveTest.DoesNotEndTheLastCopyAtItsLimit"},
    {20791, "none", "68dc867",
     "a node whose disk had an old map took its own data directory for a copy and gave up its vote",
     "none yet: it takes a map record that is older than the last registration"},
    {1002, "power-loss", "6e8195a",
     "a verdict of death that was refuted while it was checked stood for ever: the coordinator saw "
     "no quorum, and a voter change with three pending never ended",
     "bank_test: Found/BankTest.MoneyIsConservedThroughAStorm; below, what was suspected first"},
};

class RegressionTest : public ::testing::TestWithParam<Regression> {};

TEST_P(RegressionTest, FindsNothing) {
  sim::RunOptions options;
  options.seed = GetParam().seed;
  options.prefix = GetParam().prefix;
  options.diaries = sim::DiaryChoice::kNever;  // These came before.
  options.traders = sim::TraderChoice::kNever;
  const auto result = sim::RunSeed(options);
  EXPECT_TRUE(result.problems.empty())
      << absl::StrJoin(result.problems, "\n") << "\nonce it was: " << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(Seeds, RegressionTest, ::testing::ValuesIn(kRegressions),
                         [](const auto& info) { return std::to_string(info.param.seed); });

class VoterChangeTest : public ClusterFixture {};

// A joint change goes on with majorities of both sets, and the next one replaces who died.
TEST_P(VoterChangeTest, EndsThoughAPendingVoterDiesForGood) {
  auto options = Options();
  options.diskless = {"a", "b", "c", "d", "e"};
  options.nodes = {"a", "b", "c", "d"};
  Start({"a", "b", "c", "d"}, options);
  const auto map = [&] { return cluster_->NewestMap(); };
  ASSERT_EQ(map()->voters.size(), 3u);
  cluster_->Kill(map()->voters.back().node);
  std::string fresh;  // Whom the change brings in.
  const auto pending = [&] {
    for (const VoterId& voter : map()->pending) {
      const auto& now = map()->voters;
      if (std::find(now.begin(), now.end(), voter) == now.end()) fresh = voter.node;
    }
    return !fresh.empty();
  };
  ASSERT_TRUE(cluster_->RunUntil(pending)) << cluster_->Describe();
  cluster_->Kill(fresh);
  cluster_->Add("e");
  EXPECT_TRUE(cluster_->Settle(absl::Seconds(20))) << cluster_->Describe();
  EXPECT_EQ(map()->voters.size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, VoterChangeTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
