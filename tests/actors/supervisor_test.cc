// Supervisor: pauses that grow, suspension beyond its bound, one trial after it.
#include "troupe/actors/supervisor.h"

#include <gtest/gtest.h>

namespace troupe {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

struct SupervisorTest : ::testing::Test {
  void Fail(absl::Duration after) { supervisor.OnFailure(kStart + after, random, "why"); }
  absl::Duration PauseAfter(absl::Duration failure) {
    return supervisor.not_before() - (kStart + failure);
  }
  Supervision rules;
  Supervisor supervisor{rules};
  Random random{1};
};

TEST_F(SupervisorTest, PausesLongerWithEachFailureOfTheWindow) {
  absl::Duration least = rules.pause_min / 2;
  for (int i = 0; i < 5; ++i, least *= 2) {
    Fail(absl::Seconds(i));
    EXPECT_GE(PauseAfter(absl::Seconds(i)), least);
    EXPECT_LE(PauseAfter(absl::Seconds(i)), least * 3);
    EXPECT_FALSE(supervisor.suspended(kStart + absl::Seconds(i)));
  }
}

TEST_F(SupervisorTest, SuspendsBeyondItsBoundWithinTheWindow) {
  for (int i = 0; i < 6; ++i) Fail(absl::Seconds(i));
  EXPECT_TRUE(supervisor.suspended(kStart + absl::Seconds(5)));
  EXPECT_EQ(supervisor.last_error(), "why");
  EXPECT_TRUE(supervisor.suspended(kStart + absl::Seconds(304)));
  EXPECT_FALSE(supervisor.suspended(kStart + absl::Seconds(305)));
}

TEST_F(SupervisorTest, ForgetsFailuresOutsideTheWindow) {
  for (int i = 0; i < 50; ++i) {
    Fail(absl::Seconds(13 * i));
    ASSERT_FALSE(supervisor.suspended(kStart + absl::Seconds(13 * i))) << i;
  }
  EXPECT_FALSE(supervisor.Forgettable(kStart + absl::Seconds(13 * 49 + 59)));
  EXPECT_TRUE(supervisor.Forgettable(kStart + absl::Seconds(13 * 49 + 60)));
}

TEST_F(SupervisorTest, GivesOneTrialAfterASuspension) {
  supervisor.Suspend(kStart, "at once");
  Fail(absl::Minutes(6));
  EXPECT_TRUE(supervisor.suspended(kStart + absl::Minutes(6)));
  supervisor.OnActivated();
  Fail(absl::Minutes(12));
  EXPECT_FALSE(supervisor.suspended(kStart + absl::Minutes(12)));
}

TEST_F(SupervisorTest, IsAsNewWhenTheOperatorSaysSo) {
  rules.suspended_for = absl::InfiniteDuration();
  supervisor.Suspend(kStart, "at once");
  EXPECT_TRUE(supervisor.suspended(kStart + absl::Hours(1000)));
  EXPECT_FALSE(supervisor.Forgettable(kStart + absl::Hours(1000)));
  supervisor.Release();
  EXPECT_FALSE(supervisor.suspended(kStart));
  EXPECT_EQ(supervisor.not_before(), absl::InfinitePast());
  EXPECT_TRUE(supervisor.Forgettable(kStart));
}

}  // namespace
}  // namespace troupe
