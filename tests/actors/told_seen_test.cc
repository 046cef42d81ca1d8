// ToldSeen: what is told again is not run again.
#include "troupe/actors/told_seen.h"

#include <gtest/gtest.h>

#include <string>

namespace troupe {
namespace {

ActorCall Told(const std::string& caller, uint64_t turn, uint64_t id, uint64_t lineage = 1) {
  return {{1, caller}, lineage, /*epoch=*/1, turn, 0, Id128{0, id}, /*told=*/true};
}

TEST(ToldSeen, TakesEachCallOfATurnOnce) {
  ToldSeen seen;
  EXPECT_TRUE(seen.Take(Told("a", 1, 1)));
  EXPECT_TRUE(seen.Take(Told("a", 1, 2)));
  EXPECT_FALSE(seen.Take(Told("a", 1, 1)));
  EXPECT_FALSE(seen.Take(Told("a", 1, 2)));
}

TEST(ToldSeen, TakesNothingOfAnEarlierTurn) {
  ToldSeen seen;
  EXPECT_TRUE(seen.Take(Told("a", 1, 1)));
  EXPECT_TRUE(seen.Take(Told("a", 5, 2)));
  EXPECT_FALSE(seen.Take(Told("a", 1, 1)));
  EXPECT_FALSE(seen.Take(Told("a", 5, 2)));
  EXPECT_TRUE(seen.Take(Told("a", 6, 3)));
}

TEST(ToldSeen, CountsTurnsByActorAndLineage) {
  ToldSeen seen;
  EXPECT_TRUE(seen.Take(Told("a", 5, 1)));
  EXPECT_TRUE(seen.Take(Told("b", 1, 1)));
  EXPECT_TRUE(seen.Take(Told("a", 1, 2, /*lineage=*/2)));
  EXPECT_FALSE(seen.Take(Told("a", 6, 3, /*lineage=*/1)));
}

TEST(ToldSeen, ForgetsTheActorThatHasBeenSilentLongest) {
  ToldSeen seen;
  for (size_t i = 0; i < kToldSeenMax; ++i) seen.Take(Told(std::to_string(i), 1, i));
  EXPECT_FALSE(seen.Take(Told("0", 1, 0)));  // Heard again: not the oldest any more.
  EXPECT_TRUE(seen.Take(Told("one more", 1, 1)));
  EXPECT_EQ(seen.size(), kToldSeenMax);
  EXPECT_FALSE(seen.Take(Told("0", 1, 0)));
  EXPECT_TRUE(seen.Take(Told("1", 1, 1)));
}

}  // namespace
}  // namespace troupe
