// What becomes of actors that fail.
#include "clerk_fixture.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;
using Directive = Supervision::Directive;

class FailureTest : public ClerkFixture {
 protected:
  std::string Fail(const std::string& key, uint64_t by = 1000) { return ErrorOf(At(key).Fail(by)); }
};

TEST_P(FailureTest, AnErrorOfAMethodIsAnAnswerHoweverOftenItComes) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Fail("x"), HasSubstr("told to fail"));
  EXPECT_EQ(Add("x"), 2u);
}

TEST_P(FailureTest, AnActorThatCannotBeActivatedTellsItsCallersAndRecovers) {
  HostClerks();
  Start({"a", "b", "c"});
  office_.fails_to_activate.insert("x");
  EXPECT_THAT(FailToAdd("x"), HasSubstr("told to fail to activate"));
  office_.fails_to_activate.clear();
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(FailureTest, ATurnThatNeverEndsIsUndoneAtItsLimit) {
  HostClerks({.turn_limit = absl::Minutes(1)});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  const std::string error =
      ErrorOf(At("x").WithDeadline(absl::Minutes(5)).Doze(100).AsPromise(), absl::Minutes(2));
  EXPECT_THAT(error, HasSubstr("Clerk.doze on Clerk/x has not ended within 1m, the turn_limit"));
  EXPECT_EQ(Add("x"), 2u);
  // It ends though nobody waits for it any more, and so does one of the actor's own.
  EXPECT_THAT(ErrorOf(At("x").Doze(100).AsPromise(), absl::Minutes(2)), HasSubstr("still running"));
  EXPECT_EQ(cluster_->Await(At("x").WithDeadline(absl::Minutes(2)).Add(1), absl::Minutes(2)), 3u);
  Tick("x", absl::Milliseconds(100), false, 10'000'000);
  cluster_->Run(absl::Milliseconds(200));
  EXPECT_EQ(cluster_->Await(At("x").WithDeadline(absl::Minutes(2)).Add(1), absl::Minutes(2)), 4u);
}

TEST_P(FailureTest, AReadThatNeverEndsIsCutShortAtItsLimit) {
  HostClerks({.turn_limit = absl::Minutes(1)});
  Start({"a", "b", "c"});
  auto read = At("x").WithDeadline(absl::Minutes(5)).Dream();
  auto error = ErrorOf(kj::mv(read).AsPromise(), absl::Minutes(2));
  EXPECT_THAT(error, HasSubstr("Clerk.dream on Clerk/x has not ended within 1m"));
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(FailureTest, TooManyFailuresSuspendAndSaySo) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  office_.fails_to_load.insert("x");
  std::string error;
  for (int i = 0; i < 7; ++i) error = FailToAdd("x");
  EXPECT_THAT(error, HasSubstr("Clerk/x is suspended"));
  EXPECT_THAT(error, HasSubstr("told to fail to load"));
  EXPECT_THAT(error, HasSubstr("troupe resume Clerk/x"));
  const std::string primary = cluster_->PrimaryOf(ClerkId("x"));
  EXPECT_EQ(StatusOf(primary).suspended, 1u);
  EXPECT_THAT(StatusOf(primary).suspended_actors,
              ::testing::ElementsAre(HasSubstr("told to fail to load")));

  office_.fails_to_load.clear();
  EXPECT_THAT(FailToAdd("x"), HasSubstr("suspended"));
  Finish(client_->Unsuspend(ClerkId("x"), absl::Seconds(5)));
  EXPECT_EQ(StatusOf(primary).suspended, 0u);
  EXPECT_EQ(Add("x"), 2u);
  EXPECT_THAT(ErrorOf(client_->Unsuspend(ClerkId("x"), absl::Seconds(5))),
              HasSubstr("not suspended"));
}

TEST_P(FailureTest, ASuspendedActorIsTriedAgainByItselfOnce) {
  HostClerks({.supervision = {.suspended_for = absl::Seconds(30)}});
  Start({"a", "b", "c"});
  office_.fails_to_activate.insert("x");
  for (int i = 0; i < 7; ++i) FailToAdd("x");
  const uint64_t failures = office_.failures;
  cluster_->Run(absl::Seconds(31));
  EXPECT_THAT(FailToAdd("x"), HasSubstr("suspended"));  // The trial failed.
  EXPECT_EQ(office_.failures, failures + 1);
  EXPECT_THAT(FailToAdd("x"), HasSubstr("suspended"));
  EXPECT_EQ(office_.failures, failures + 1);
  office_.fails_to_activate.clear();
  cluster_->Run(absl::Seconds(31));
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(FailureTest, AnotherNodeIsAnotherChance) {
  HostClerks({.supervision = {.suspended_for = absl::InfiniteDuration()}});
  Start({"a", "b", "c"});
  office_.fails_to_activate.insert("x");
  for (int i = 0; i < 7; ++i) FailToAdd("x");
  office_.fails_to_activate.clear();
  EXPECT_THAT(FailToAdd("x"), HasSubstr("suspended"));
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(FailureTest, ATimerThatFailsIsUndoneAndNeverAHotLoop) {
  office_.tick_on_activation["x"] = 1;
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Run(absl::Seconds(1));
  const uint64_t ticked = Look("x").ticked;
  office_.fails_its_timers.insert("x");
  cluster_->Run(absl::Minutes(2));
  EXPECT_EQ(office_.failures, 6u);  // Then it was suspended.
  EXPECT_THAT(FailToAdd("x"), HasSubstr("a timer failed"));
  office_.fails_its_timers.clear();
  Finish(client_->Unsuspend(ClerkId("x"), absl::Seconds(5)));
  cluster_->Run(absl::Seconds(1));
  EXPECT_GT(Look("x").ticked, ticked + 500);
}

TEST_P(FailureTest, AReminderThatFailsComesAgainUntilItSucceeds) {
  HostClerks();
  Start({"a", "b", "c"});
  Remind("x", absl::Seconds(1), absl::ZeroDuration());
  office_.fails_its_reminders.insert("x");
  cluster_->Run(absl::Milliseconds(1500));
  EXPECT_GE(office_.failures, 1u);
  EXPECT_TRUE(Look("x").served.empty());
  office_.fails_its_reminders.clear();
  cluster_->Run(absl::Seconds(10));
  EXPECT_EQ(Look("x").served.size(), 1u);
}

TEST_P(FailureTest, AReminderThatAlwaysFailsSuspendsAndIsServedOnceItIsResumed) {
  HostClerks();
  Start({"a", "b", "c"});
  office_.fails_its_reminders.insert("x");
  Remind("x", absl::Seconds(1), absl::ZeroDuration());
  cluster_->Run(absl::Minutes(2));
  EXPECT_EQ(office_.failures, 6u);
  office_.fails_its_reminders.clear();
  Finish(client_->Unsuspend(ClerkId("x"), absl::Seconds(5)));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Look("x").served.size(), 1u);
}

TEST_P(FailureTest, ResumeKeepsWhatTheFailedTurnDidAlsoThroughAKill) {
  HostClerks({.supervision = {.directive = Directive::kResume}});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  const uint64_t object = Look("x").object;
  EXPECT_THAT(Fail("x", 10), HasSubstr("told to fail"));
  EXPECT_EQ(Look("x").value, 11u);
  EXPECT_EQ(Look("x").object, object);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  EXPECT_EQ(Look("x").value, 11u);
}

TEST_P(FailureTest, ResumeCountsAFailedReminderAsServed) {
  HostClerks({.supervision = {.directive = Directive::kResume}});
  Start({"a", "b", "c"});
  office_.fails_its_reminders.insert("x");
  Remind("x", absl::Seconds(1), absl::ZeroDuration());
  cluster_->Run(absl::Seconds(20));
  EXPECT_EQ(office_.failures, 1u);
  EXPECT_EQ(Look("x").served.size(), 1u);
}

TEST_P(FailureTest, StopRefusesThoseWhoWaitAndTheNextBeginsAnew) {
  HostClerks({.supervision = {.directive = Directive::kStop}});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  auto first = At("x").AddLater(0, 50);
  auto failed = At("x").Fail(0);
  auto waiting = At("x").Add(1);
  cluster_->Await(kj::mv(first));
  EXPECT_THAT(ErrorOf(kj::mv(failed)), HasSubstr("told to fail"));
  EXPECT_THAT(ErrorOf(kj::mv(waiting).AsPromise().ignoreResult()),
              HasSubstr("was stopped by the failure of a call"));
  EXPECT_EQ(Add("x"), 2u);
  EXPECT_EQ(office_.activated["x"], 2u);
}

TEST_P(FailureTest, EscalateSuspendsAtTheFirstFailure) {
  HostClerks({.supervision = {.directive = Directive::kEscalate}});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  EXPECT_THAT(Fail("x"), HasSubstr("told to fail"));
  EXPECT_THAT(FailToAdd("x"), HasSubstr("suspended: a call failed"));
  Finish(client_->Unsuspend(ClerkId("x"), absl::Seconds(5)));
  EXPECT_EQ(Add("x"), 2u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FailureTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
