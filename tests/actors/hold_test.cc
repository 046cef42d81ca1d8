#include "troupe/actors/hold.h"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TransactionStamp Call(int64_t age, uint64_t id, Grant grant = {}) {
  return {{1, id}, age, absl::Seconds(1), {7, "first"}, grant};
}
Hold HeldBy(int64_t age, uint64_t id) {
  Hold hold;
  hold.id = {1, id};
  hold.age = age;
  hold.grant = {3, 8};
  hold.state = std::make_shared<const std::string>("before");
  return hold;
}

TEST(Hold, IsTakenByTheFirstCallThatKnowsOfNone) {
  EXPECT_EQ(Judge(nullptr, Call(5, 1)), HoldVerdict::kTakes);
  EXPECT_EQ(Judge(nullptr, Call(5, 1, {3, 8})), HoldVerdict::kGone);
}

TEST(Hold, RunsTheCallsOfItsTransactionUnderItsGrant) {
  const Hold hold = HeldBy(5, 1);
  EXPECT_EQ(Judge(&hold, Call(5, 1)), HoldVerdict::kRuns);
  EXPECT_EQ(Judge(&hold, Call(9, 1)), HoldVerdict::kRuns);  // It began again elsewhere.
  EXPECT_EQ(Judge(&hold, Call(5, 1, {3, 8})), HoldVerdict::kRuns);
  EXPECT_EQ(Judge(&hold, Call(5, 1, {3, 7})), HoldVerdict::kGone);
  EXPECT_EQ(Judge(&hold, Call(5, 1, {2, 8})), HoldVerdict::kGone);
}

TEST(Hold, IsWaitedForByTheOlderAlone) {
  const Hold hold = HeldBy(5, 4);
  EXPECT_EQ(Judge(&hold, Call(4, 9)), HoldVerdict::kWaits);
  EXPECT_EQ(Judge(&hold, Call(6, 1)), HoldVerdict::kConflict);
  EXPECT_EQ(Judge(&hold, Call(5, 3)), HoldVerdict::kWaits);  // Of one age: by the id.
  EXPECT_EQ(Judge(&hold, Call(5, 5)), HoldVerdict::kConflict);
  EXPECT_EQ(Judge(&hold, Call(4, 9, {3, 2})), HoldVerdict::kGone);
}

TEST(Hold, IsComparedByWhatItGoesBackTo) {
  Hold a = HeldBy(5, 4), b = a;
  EXPECT_EQ(a, b);
  b.state = std::make_shared<const std::string>("before");
  EXPECT_EQ(a, b);
  b.reminders = std::make_shared<const ReminderTable::List>();
  EXPECT_EQ(a, b);
  b.reminders = std::make_shared<const ReminderTable::List>(1, Reminder{"bell", absl::UnixEpoch()});
  EXPECT_FALSE(a == b);
  b = a;
  b.state = std::make_shared<const std::string>("after");
  EXPECT_FALSE(a == b);
  EXPECT_TRUE(a.holds());
  EXPECT_FALSE(NoHold()->holds());
}

}  // namespace
}  // namespace troupe
