// Trial: whole clusters under faults keep every promise, and what breaks one is seen at once.
//
// TROUPE_SEEDS=A..B runs others than the few that every build runs; a failure prints its seed.
#include "troupe/sim/trial.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "../seeds.h"
#include "mutations.h"

namespace troupe::sim {
namespace {

TEST(Trial, FindsNothingWrong) {
  uint64_t answered = 0;
  absl::Duration time;
  const auto seeds = SeedsOr(1, 40);
  for (uint64_t seed : seeds) {
    const auto result = RunTrial(seed);
    if (std::getenv("TROUPE_VERBOSE")) {
      std::printf("seed %lu %s %s: %lu answers, %s\n", seed, result.prefix.c_str(),
                  result.checker.c_str(), result.answered,
                  absl::FormatDuration(result.virtual_time).c_str());
      std::fflush(stdout);
    }
    EXPECT_EQ(result.checker, "") << "seed " << seed << ", prefix " << result.prefix << ": "
                                  << result.problem;
    answered += result.answered;
    time += result.virtual_time;
  }
  RecordProperty("answered", static_cast<int>(answered));
  std::printf("%zu seeds: %lu answers in %s of virtual time\n", seeds.size(), answered,
              absl::FormatDuration(time).c_str());
}

TEST(Trial, OfOneSeedIsTheSameTwice) {
  for (uint64_t seed : {3, 7}) {
    EXPECT_EQ(RunTrial(seed).trace_hash, RunTrial(seed).trace_hash) << seed;
  }
}

// A few of mutation_test.cc that show themselves quickly.
TEST(Trial, FindsMutationsOfEachLayer) {
  for (const Mutation& mutation : AllMutations()) {
    for (std::string_view quick :
         {"entry_by_node", "answer_early", "reads_without_lease", "records_forgotten",
          "answer_before_quorum", "told_outside_batch", "told_before_commit", "hold_outside_batch",
          "watches_outside_batch"}) {
      if (mutation.name != quick) continue;
      RunResult found;
      EXPECT_NE(SeedsUntilFound(mutation, 40, found), 0u) << mutation.name;
    }
  }
}

}  // namespace
}  // namespace troupe::sim
