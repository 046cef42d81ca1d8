// A day of virtual time with a little traffic: what is held does not grow with time.
//
// Half an hour by default, which is many times every period that a node has; with LOAD_SIZE=full
// a day.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cluster_fixture.h"

namespace troupe {
namespace {

using DayTest = ClusterFixture;

size_t HeldBytes() { return mallinfo2().uordblks; }

TEST_P(DayTest, MemoryDoesNotGrowWithTime) {
  const char* size = std::getenv("LOAD_SIZE");
  const int minutes = size != nullptr && std::string(size) == "full" ? 24 * 60 : 30;
  Start({"a", "b", "c"});
  // The most that was held in a quarter: what is open at one moment does not count.
  size_t second = 0, last = 0;
  for (int minute = 0; minute < minutes; ++minute) {
    for (int call = 0; call < 3; ++call) {
      Add("k" + std::to_string((minute + call) % 10));
      cluster_->Run(absl::Seconds(20));
    }
    const int quarter = 4 * minute / minutes;
    if (quarter == 1) second = std::max(second, HeldBytes());
    if (quarter == 3) last = std::max(last, HeldBytes());
  }
  std::fprintf(stderr, "held after %d minutes: %zu kB, in the second quarter %zu kB\n", minutes,
               last >> 10, second >> 10);
  EXPECT_LT(last, second + second / 50 + (256 << 10));
  EXPECT_TRUE(cluster_->settled()) << cluster_->Describe();
}

INSTANTIATE_TEST_SUITE_P(Seed, DayTest, ::testing::Values(1));

}  // namespace
}  // namespace troupe
