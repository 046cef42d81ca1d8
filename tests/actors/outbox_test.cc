#include "troupe/actors/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Told Call(uint64_t turn, uint32_t index = 0, size_t bytes = 8) {
  auto words = kj::heapArray<capnp::word>(bytes / 8);
  return {{turn, index}, {7, "to"}, 1, 2, {turn, index}, Payload::Own(kj::mv(words))};
}

std::vector<uint64_t> Turns(const OutboxSnapshot& list) {
  std::vector<uint64_t> out;
  if (list == nullptr) return out;
  for (const auto& told : list->entries) out.push_back(told->number.turn);
  return out;
}

TEST(Outbox, KeepsWhatIsToldUntilItIsAnswered) {
  Outbox box;
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.OldestTurn(), std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(box.Add(Call(3)).ok());
  EXPECT_TRUE(box.Add(Call(5)).ok());
  EXPECT_TRUE(box.Add(Call(5, 1)).ok());
  EXPECT_EQ(box.OldestTurn(), 3u);
  EXPECT_EQ(box.last(), (ToldNumber{5, 1}));
  box.Remove({{3, 0}, {5, 1}, {9, 9}});
  EXPECT_THAT(Turns(box.snapshot()), ElementsAre(5));
  EXPECT_EQ(box.snapshot()->bytes, Call(5).bytes());
}

TEST(Outbox, TakesBackWhatATurnAndLaterOnesTold) {
  Outbox box;
  for (uint64_t turn : {3, 5, 6}) EXPECT_TRUE(box.Add(Call(turn)).ok());
  EXPECT_EQ(box.LastBefore(5), (ToldNumber{3, 0}));
  EXPECT_EQ(box.LastBefore(3), ToldNumber());
  EXPECT_EQ(box.LastBefore(9), (ToldNumber{6, 0}));
  box.RemoveSince(5);
  EXPECT_THAT(Turns(box.snapshot()), ElementsAre(3));
  EXPECT_EQ(box.snapshot()->bytes, Call(3).bytes());
}

TEST(Outbox, ChangesNoSnapshotThatWasTaken) {
  Outbox box;
  EXPECT_TRUE(box.Add(Call(1)).ok());
  const auto before = box.snapshot();
  EXPECT_TRUE(box.Add(Call(2)).ok());
  const auto both = box.snapshot();
  box.Remove({{1, 0}});
  EXPECT_THAT(Turns(before), ElementsAre(1));
  EXPECT_THAT(Turns(both), ElementsAre(1, 2));
  Outbox other(before);
  EXPECT_TRUE(other.Add(Call(4)).ok());
  EXPECT_THAT(Turns(before), ElementsAre(1));
}

TEST(Outbox, NamesTheBoundThatIsReached) {
  Outbox many;
  for (uint32_t i = 0; i < kOutboxMax; ++i) ASSERT_TRUE(many.Add(Call(1, i)).ok());
  EXPECT_THAT(many.Add(Call(1, kOutboxMax)).message(), HasSubstr("4096 calls"));
  Outbox large;
  EXPECT_TRUE(large.Add(Call(1, 0, kOutboxBytesMax - 4096)).ok());
  EXPECT_THAT(large.Add(Call(1, 1, 8192)).message(), HasSubstr("at most 786432"));
  EXPECT_EQ(large.last(), (ToldNumber{1, 0}));
}

TEST(Outbox, ADifferenceMakesTheLaterOfTheEarlierList) {
  Outbox box;
  for (uint64_t turn : {1, 2, 4}) ASSERT_TRUE(box.Add(Call(turn)).ok());
  const auto before = box.snapshot();
  box.Remove({{2, 0}});
  ASSERT_TRUE(box.Add(Call(6)).ok());
  const auto changes = Difference(before, box.snapshot());
  EXPECT_THAT(changes.done, ElementsAre(ToldNumber{2, 0}));
  EXPECT_EQ(changes.added.size(), 1u);
  EXPECT_EQ(*Apply(before, changes), *box.snapshot());

  const auto all = Difference(nullptr, box.snapshot());
  EXPECT_EQ(*Apply(nullptr, all), *box.snapshot());
  EXPECT_EQ(Apply(box.snapshot(), Difference(box.snapshot(), nullptr)), nullptr);
}

}  // namespace
}  // namespace troupe
