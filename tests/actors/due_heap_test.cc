// DueHeap: always the one that is due next, however often due times move.
#include "troupe/actors/due_heap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "troupe/runtime/random.h"

namespace troupe {
namespace {

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }
ActorId Named(uint64_t number) { return {1, std::to_string(number)}; }

TEST(DueHeap, GivesThoseDueEarliestFirstAndInOrderOfTheirIds) {
  DueHeap heap;
  EXPECT_EQ(heap.next(), absl::InfiniteFuture());
  heap.Set(Named(3), At(1));
  heap.Set(Named(2), At(2));
  heap.Set(Named(1), At(1));
  heap.Set(Named(4), At(9));
  EXPECT_EQ(heap.next(), At(1));
  EXPECT_THAT(heap.TakeDue(At(2), 2), ::testing::ElementsAre(Named(1), Named(3)));
  EXPECT_THAT(heap.TakeDue(At(2), 2), ::testing::ElementsAre(Named(2)));
  EXPECT_TRUE(heap.TakeDue(At(2), 2).empty());
  heap.Set(Named(4), absl::InfiniteFuture());
  EXPECT_EQ(heap.size(), 0u);
}

TEST(DueHeap, AgreesWithASortedListUnderRandomSteps) {
  Random random(7);
  DueHeap heap;
  std::map<ActorId, absl::Time> model;
  for (int step = 0; step < 20000; ++step) {
    const ActorId actor = Named(random.Below(200));
    const absl::Time due = At(static_cast<int64_t>(random.Below(1000)));
    switch (random.Below(8)) {
      case 0:
        heap.Erase(actor);
        model.erase(actor);
        break;
      case 1: {
        const absl::Time now = At(static_cast<int64_t>(random.Below(20)));
        std::vector<std::pair<absl::Time, ActorId>> expected;
        for (const auto& [id, at] : model) {
          if (at <= now) expected.emplace_back(at, id);
        }
        std::sort(expected.begin(), expected.end());
        std::vector<ActorId> ids;
        for (auto& [at, id] : expected) {
          ids.push_back(id);
          model.erase(id);
        }
        ASSERT_EQ(heap.TakeDue(now, 1000), ids);
        break;
      }
      default:
        heap.Set(actor, due);
        model[actor] = due;
    }
    ASSERT_EQ(heap.size(), model.size());
    absl::Time next = absl::InfiniteFuture();
    for (const auto& [id, at] : model) next = std::min(next, at);
    ASSERT_EQ(heap.next(), next);
  }
}

}  // namespace
}  // namespace troupe
