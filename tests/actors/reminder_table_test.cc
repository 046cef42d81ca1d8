// ReminderTable: what is due when, and what becomes of due times that were missed.
#include "troupe/actors/reminder_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);
constexpr absl::Duration kMinute = absl::Minutes(1);

ReminderTable With(CatchUp catch_up, absl::Duration every = kMinute) {
  ReminderTable table;
  EXPECT_TRUE(table.Set({"bell", kStart, every, catch_up, 0, 7}).ok());
  return table;
}

TEST(ReminderTable, IsDueAtItsTimeAndThenInItsRhythm) {
  auto table = With(CatchUp::kOnce);
  EXPECT_FALSE(table.Due(kStart - absl::Nanoseconds(1)));
  for (int i = 0; i < 3; ++i) {
    const absl::Time due = kStart + i * kMinute;
    EXPECT_EQ(table.NextDue(), due);
    auto firing = table.Due(due + absl::Seconds(59));  // Late, but within its period.
    ASSERT_TRUE(firing);
    EXPECT_EQ(firing->told.due, due);
    EXPECT_EQ(firing->told.missed, 0u);
    table.Advance(*firing);
  }
}

TEST(ReminderTable, WithoutAPeriodIsDueOnceHoweverLate) {
  for (CatchUp catch_up : {CatchUp::kSkip, CatchUp::kOnce, CatchUp::kAll}) {
    auto table = With(catch_up, absl::ZeroDuration());
    EXPECT_FALSE(table.SkipMissed(kStart + absl::Hours(24)));
    auto firing = table.Due(kStart + absl::Hours(24));
    ASSERT_TRUE(firing);
    EXPECT_EQ(firing->told.due, kStart);
    table.Advance(*firing);
    EXPECT_EQ(table.NextDue(), absl::InfiniteFuture());
  }
}

struct Missed {
  CatchUp catch_up;
  uint64_t served;      // Now, of the five due times that have passed.
  uint64_t told_first;  // Missed, by the first that is served.
  int first;            // Its due time, in minutes.
};

class MissedReminder : public ::testing::TestWithParam<Missed> {};

TEST_P(MissedReminder, IsMadeUpForAsItSays) {
  auto table = With(GetParam().catch_up);
  const absl::Time now = kStart + 4 * kMinute + absl::Seconds(30);
  table.SkipMissed(now);
  uint64_t served = 0;
  std::optional<ReminderTable::Firing> first;
  while (auto firing = table.Due(now)) {
    if (++served == 1) first = firing;
    table.Advance(*firing);
  }
  EXPECT_EQ(served, GetParam().served);
  EXPECT_EQ(table.NextDue(), kStart + 5 * kMinute);
  if (!first) first = table.Due(table.NextDue());
  EXPECT_EQ(first->told.missed, GetParam().told_first);
  EXPECT_EQ(first->told.due, kStart + GetParam().first * kMinute);
}

INSTANTIATE_TEST_SUITE_P(Each, MissedReminder,
                         ::testing::Values(Missed{CatchUp::kSkip, 0, 5, 5},
                                           Missed{CatchUp::kOnce, 1, 4, 4},
                                           Missed{CatchUp::kAll, 5, 0, 0}));

TEST(ReminderTable, MakesUpForNoMoreThanItsBound) {
  auto table = With(CatchUp::kAll, absl::Seconds(1));
  const absl::Time now = kStart + absl::Hours(24);
  uint64_t served = 0, missed = 0;
  while (auto firing = table.Due(now)) {
    missed += firing->told.missed;
    table.Advance(*firing);
    ++served;
  }
  EXPECT_EQ(served, kCatchUpMax);
  EXPECT_EQ(served + missed, 24u * 3600 + 1);
}

TEST(ReminderTable, DoesNotAdvanceOneThatItsTurnSetAnew) {
  auto table = With(CatchUp::kOnce);
  const auto firing = table.Due(kStart);
  ASSERT_TRUE(table.Set({"bell", kStart + absl::Hours(1), kMinute, CatchUp::kOnce, 0, 8}).ok());
  table.Advance(*firing);
  EXPECT_EQ(table.NextDue(), kStart + absl::Hours(1));
  EXPECT_TRUE(table.Cancel("bell"));
  table.Advance(*firing);
  EXPECT_EQ(table.NextDue(), absl::InfiniteFuture());
  EXPECT_FALSE(table.Cancel("bell"));
}

TEST(ReminderTable, FindsItsReminders) {
  auto table = With(CatchUp::kAll);
  EXPECT_EQ(table.Find("bell")->every, kMinute);
  EXPECT_EQ(table.Find("other"), nullptr);
  EXPECT_EQ(ReminderTable().Find("bell"), nullptr);
}

TEST(ReminderTable, ServesTheEarliestFirst) {
  ReminderTable table;
  ASSERT_TRUE(table.Set({"a", kStart + kMinute}).ok());
  ASSERT_TRUE(table.Set({"b", kStart}).ok());
  EXPECT_EQ(table.Due(kStart + absl::Hours(1))->told.name, "b");
}

TEST(ReminderTable, SnapshotsDoNotChange) {
  auto table = With(CatchUp::kOnce);
  const auto before = table.snapshot();
  ASSERT_TRUE(table.Set({"other", kStart}).ok());
  EXPECT_EQ(before->size(), 1u);
  EXPECT_EQ(ReminderTable(before).NextDue(), kStart);
  EXPECT_EQ(table.snapshot()->size(), 2u);
}

TEST(ReminderTable, RefusesWhatIsOverItsBounds) {
  ReminderTable table;
  EXPECT_FALSE(table.Set({"", kStart}).ok());
  EXPECT_FALSE(table.Set({std::string(kReminderNameBytesMax + 1, 'x'), kStart}).ok());
  EXPECT_FALSE(table.Set({"x", kStart, absl::Milliseconds(999)}).ok());
  EXPECT_FALSE(table.Set({"x", kStart, absl::Seconds(-1)}).ok());
  EXPECT_FALSE(table.Set({"x", absl::InfiniteFuture()}).ok());
  EXPECT_FALSE(table.Set({"x", absl::InfinitePast()}).ok());
  for (size_t i = 0; i < kRemindersMax; ++i) {
    EXPECT_TRUE(table.Set({std::to_string(i), kStart}).ok());
  }
  EXPECT_FALSE(table.Set({"x", kStart}).ok());
  EXPECT_TRUE(table.Set({"0", kStart + kMinute}).ok());
}

}  // namespace
}  // namespace troupe
