// Harness: what a test of an actor asks of it, and what it says when something is wrong.
#include "troupe/testing/harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "box_office.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/nemesis.h"

namespace {

using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using troupe::Task;
using troupe::testing::Harness;
using troupe::testing::HarnessOptions;
using troupe::testing::Renewal;
using troupe::testing::Stateless;

class HarnessTest : public ::testing::Test {
 protected:
  void Begin(HarnessOptions options = {}) {
    harness_ = std::make_unique<Harness>(std::move(options));
    harness_->Host<BoxOfficeActor>();
    smtp_ = &harness_->Fake<Mailer>("smtp");
    office_ = harness_->Get<BoxOffice>("hamlet");
    harness_->Await(office_.Open(10));
  }
  void TearDown() override { office_ = {}; }
  uint32_t Left() { return harness_->Await(office_.Left()); }
  // The text of what a step throws.
  template <typename Step>
  std::string Refused(Step step) {
    auto thrown = kj::runCatchingExceptions([&] { step(); });
    KJ_IF_MAYBE (e, thrown) return troupe::Words(*e);
    return "(nothing was thrown)";
  }

  std::unique_ptr<Harness> harness_;
  troupe::testing::FakeActor* smtp_ = nullptr;
  BoxOffice::Ref office_;
};

TEST_F(HarnessTest, CallsAreAnsweredAndErrorsAreTexts) {
  Begin();
  EXPECT_EQ(harness_->Await(office_.Sell(2, "bob")), 8u);
  EXPECT_THAT(harness_->Fails(office_.Sell(9, "bob")), HasSubstr("sold out"));
  EXPECT_EQ(harness_->Error(office_.Sell(9, "bob"))->getType(), kj::Exception::Type::FAILED);
  EXPECT_EQ(harness_->Fails(office_.Left()), "(no error)");
  EXPECT_EQ(Left(), 8u);
}

TEST_F(HarnessTest, IsReadyForCallsInLessThanTenMilliseconds) {
  constexpr int kRuns = 20;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) {
    Begin();
    TearDown();
    harness_ = nullptr;
  }
  const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - begin;
  RecordProperty("milliseconds", std::to_string(all.count() / kRuns));
  EXPECT_LT(all.count() / kRuns, 10 * TROUPE_TEST_SLOWDOWN);
}

// ---- Time

TEST_F(HarnessTest, RemindersAreDueAsTimePasses) {
  Begin();
  harness_->Await(office_.Hold(4));
  EXPECT_EQ(Left(), 6u);
  harness_->Advance(absl::Minutes(14));
  EXPECT_EQ(Left(), 6u);
  harness_->Advance(absl::Minutes(2));
  EXPECT_EQ(Left(), 10u);
}

TEST_F(HarnessTest, WallClocksCanGoOnAlone) {
  Begin();
  harness_->Await(office_.Hold(4));
  harness_->AdvanceWallClocks(absl::Minutes(14));
  EXPECT_EQ(Left(), 6u);
  harness_->AdvanceWallClocks(absl::Minutes(1));
  EXPECT_EQ(Left(), 10u);
}

TEST_F(HarnessTest, EqualSeedsAreEqualRuns) {
  auto run = [&] {
    Begin({.nodes = 3, .seed = 7});
    harness_->Failover(office_);
    harness_->Await(office_.Sell(1, "bob"));
    const uint64_t hash = harness_->cluster().world().trace_hash();
    TearDown();
    harness_ = nullptr;
    return hash;
  };
  EXPECT_EQ(run(), run());
}

TEST_F(HarnessTest, AStormRagesOverItsCluster) {
  Begin({.nodes = 5, .seed = 3});
  auto& cluster = harness_->cluster();
  troupe::sim::Arena arena(cluster, cluster.world().random().Fork("faults"));
  troupe::sim::Storm storm(arena, troupe::sim::DrawNemeses(arena.random));
  auto sold = office_.Sell(2, "bob").AsPromise().eagerlyEvaluate(nullptr);
  storm.Rage(absl::Seconds(3));
  storm.Heal();
  ASSERT_TRUE(cluster.Settle(absl::Minutes(2))) << cluster.Describe();
  EXPECT_EQ(harness_->Await(kj::mv(sold)), 8u);
  EXPECT_EQ(Left(), 8u);
}

// ---- Collaborators

TEST_F(HarnessTest, WhatIsHostedAfterTheFirstGetIsRefused) {
  Harness harness;
  EXPECT_THAT(Refused([&] { harness.cluster(); }), HasSubstr("nothing is hosted here yet"));
  harness.Host<BoxOfficeActor>();
  harness.Await(harness.Get<BoxOffice>("hamlet").Open(3));
  EXPECT_THAT(Refused([&] { harness.Fake<Mailer>("smtp"); }),
              AllOf(HasSubstr("the nodes run already and have said what they host"),
                    HasSubstr("say that Mailer is hosted, or faked, before the first Get()")));
}

TEST_F(HarnessTest, AFakeThatIsToldAnewGoesOnWithWhatItHasBegun) {
  Begin();
  auto begun = kj::newPromiseAndFulfiller<void>();
  auto keep = std::make_unique<uint64_t>(7);
  smtp_->On("send",
            [keep = std::move(keep), go = kj::mv(begun.promise)](
                auto, auto results) mutable -> Task<void> {
              co_await go;
              results.set("number", *keep);
            });
  auto sent = harness_->Get<Mailer>("smtp").Send("bob", "").AsPromise().eagerlyEvaluate(nullptr);
  harness_->Advance(absl::Seconds(1));
  smtp_->Fails("send", "not any more");
  begun.fulfiller->fulfill();
  EXPECT_EQ(harness_->Await(kj::mv(sent)), 7u);
}

TEST_F(HarnessTest, AFakeRecordsCallsAndAnswersWithDefaults) {
  Begin();
  harness_->Await(office_.Sell(2, "bob"));
  harness_->Await(office_.Sell(1, "eve"));
  EXPECT_THAT(smtp_->calls(), ElementsAre("send(to = \"bob\", text = \"2 seats\")",
                                          "send(to = \"eve\", text = \"1 seats\")"));
  EXPECT_THAT(harness_->Calls(office_), ElementsAre("open(seats = 10)", HasSubstr("bob"), _));
}

TEST_F(HarnessTest, AFakeAnswersFailsAndHangsAsToldToWhileItLasts) {
  Begin();
  auto mail = harness_->Get<Mailer>("smtp");
  smtp_->On<Mailer::SendParams, Mailer::SendResults>(
      "send", [](auto params, auto results) { results.setNumber(params.getTo().size()); });
  EXPECT_EQ(harness_->Await(mail.Send("bob", "")), 3u);
  smtp_->On("send", [](auto, auto results) -> Task<void> {
    results.set("number", 7);
    co_return;
  });
  EXPECT_EQ(harness_->Await(mail.Send("bob", "")), 7u);
  smtp_->Fails("send", "no such mailbox");
  EXPECT_THAT(harness_->Fails(mail.Send("bob", "")), HasSubstr("no such mailbox"));
  smtp_->Hangs("send");
  auto late = mail.WithDeadline(absl::Seconds(2));
  EXPECT_THAT(harness_->Fails(late.Send("bob", "")), HasSubstr("deadline"));
  EXPECT_THAT(Refused([&] { smtp_->Fails("sent", ""); }),
              AllOf(HasSubstr("Mailer/smtp has no method \"sent\""), HasSubstr("send")));
}

TEST_F(HarnessTest, AFailureOfAFakeUndoesTheTurn) {
  Begin();
  smtp_->Fails("send", "no such mailbox");
  EXPECT_THAT(harness_->Fails(office_.Sell(2, "bob")), HasSubstr("no such mailbox"));
  EXPECT_EQ(Left(), 10u);
}

TEST_F(HarnessTest, ACallForWhichNothingStandsInSaysWhatWould) {
  Begin();
  EXPECT_THAT(harness_->Fails(harness_->Get<Mailer>("pop").Send("bob", "")),
              HasSubstr("nothing stands in for Mailer/pop; say harness.Fake<Mailer>(\"pop\")"));
}

class MailerMock : public Stateless<Mailer> {
 public:
  MOCK_METHOD(Task<uint64_t>, Send, (std::string to, std::string text), (override));
};

TEST_F(HarnessTest, AMockOfTheTestStandsInAndOutlivesObjects) {
  MailerMock mock;
  Begin({.nodes = 3});
  harness_->StandIn("pop", mock);
  EXPECT_CALL(mock, Send("bob", _)).Times(2).WillRepeatedly([](auto, auto) -> Task<uint64_t> {
    co_return 5;
  });
  auto mail = harness_->Get<Mailer>("pop");
  EXPECT_EQ(harness_->Await(mail.Send("bob", "")), 5u);
  harness_->Failover(mail);
  EXPECT_EQ(harness_->Await(mail.Send("bob", "")), 5u);
  harness_ = nullptr;
}

// ---- Faults

TEST_F(HarnessTest, TheNextCallFailsAndNoOther) {
  Begin();
  harness_->NextCall(office_, "sell").Fails("disk full");
  EXPECT_EQ(Left(), 10u);
  EXPECT_THAT(harness_->Fails(office_.Sell(1, "bob")), HasSubstr("disk full"));
  EXPECT_EQ(harness_->Await(office_.Sell(1, "bob")), 9u);
  EXPECT_THAT(smtp_->calls(), SizeIs(1));
}

TEST_F(HarnessTest, TheNextCallWaits) {
  Begin();
  harness_->NextCall(office_).Waits(absl::Seconds(3));
  auto sold = office_.Sell(1, "bob").AsPromise().eagerlyEvaluate(nullptr);
  harness_->Advance(absl::Seconds(2));
  EXPECT_THAT(smtp_->calls(), IsEmpty());
  EXPECT_EQ(harness_->Await(kj::mv(sold)), 9u);
}

TEST_F(HarnessTest, ALostAnswerIsAskedForAgainAndTheCallTakesEffectOnce) {
  for (size_t nodes : {1, 3}) {
    Begin({.nodes = nodes});
    harness_->NextCall(office_, "sell").LosesItsAnswer();
    EXPECT_EQ(harness_->Await(office_.Sell(2, "bob")), 8u);
    EXPECT_EQ(Left(), 8u);
    EXPECT_THAT(smtp_->calls(), SizeIs(1));
    TearDown();
    harness_ = nullptr;
  }
}

TEST_F(HarnessTest, ALostAnswerWouldSellTwiceIfThereWereNoRecords) {
  const troupe::ReplicaMutations broken{.repeat_runs_again = true};
  HarnessOptions options;
  options.cluster.node.replica.mutations = &broken;
  Begin(std::move(options));
  harness_->NextCall(office_, "sell").LosesItsAnswer();
  EXPECT_EQ(harness_->Await(office_.Sell(2, "bob")), 6u);
  TearDown();
  harness_ = nullptr;
}

TEST_F(HarnessTest, AKillWithinATurnDoesNotSellTwice) {
  Begin({.nodes = 3});
  const std::string node = harness_->cluster().PrimaryOf(office_.id());
  harness_->NextCall(office_, "sell").KillsItsNode(absl::Milliseconds(5));
  EXPECT_EQ(harness_->Await(office_.Sell(2, "bob")), 8u);
  EXPECT_NE(harness_->cluster().PrimaryOf(office_.id()), node);
  EXPECT_EQ(Left(), 8u);
  EXPECT_THAT(smtp_->calls(), SizeIs(1));
  EXPECT_THAT(harness_->Calls(office_), ElementsAre(_, HasSubstr("sell"), HasSubstr("sell"), _));
}

// Lets nothing be sold to eve.
class Doorman final : public troupe::Interceptor {
  void Before(troupe::CallInfo& call) override {
    KJ_REQUIRE(call.received.Find("buyer") != "eve", "not to her");
  }
};

TEST(HarnessInterceptTest, InterceptorsOfTheProgramRun) {
  Harness harness;
  harness.Host<BoxOfficeActor>();
  harness.Fake<Mailer>("smtp");
  harness.Intercept(std::make_shared<Doorman>());
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  EXPECT_THAT(harness.Fails(office.WithMetadata("buyer", "eve").Sell(1, "eve")),
              HasSubstr("not to her"));
  EXPECT_EQ(harness.Await(office.WithMetadata("buyer", "bob").Sell(1, "bob")), 9u);
}

TEST_F(HarnessTest, FailoverKeepsWhatWasAnswered) {
  Begin({.nodes = 3});
  harness_->Await(office_.Sell(2, "bob"));
  for (int i = 0; i < 3; ++i) harness_->Failover(office_);
  EXPECT_EQ(Left(), 8u);
  EXPECT_THAT(harness_->cluster().names(), SizeIs(3));
}

TEST_F(HarnessTest, AFaultThatHappenedToNoCallIsAFailure) {
  EXPECT_NONFATAL_FAILURE(
      {
        Harness harness;
        harness.Host<BoxOfficeActor>();
        harness.NextCall(harness.Get<BoxOffice>("hamlet"), "sell").Fails("never");
      },
      "the next call of BoxOffice/hamlet.sell has happened to none");
}

// ---- Objects are made anew

struct Forgetful final : BoxOffice::Actor {
  Task<void> Open(uint32_t seats) override {
    free = seats;
    co_return;
  }
  Task<uint32_t> Sell(uint32_t seats, std::string) override { co_return free -= seats; }
  Task<void> Hold(uint32_t) override {
    timer = context().StartTimer({.every = absl::Seconds(1)}, [this] { ++free; });
    co_return;
  }
  Task<uint32_t> Left() override { co_return free; }
  void Save(BoxOfficeState::Builder out) const override {
    if (saves) out.setFree(free);
  }
  void Load(BoxOfficeState::Reader in) override {
    if (loads) free = in.getFree();
  }
  Forgetful(bool saves, bool loads) : saves(saves), loads(loads) {}
  const bool saves, loads;
  uint32_t free = 100;
  troupe::ActorTimer timer;
};

struct ForgetfulTest : ::testing::TestWithParam<Renewal> {
  void Begin(bool saves, bool loads) {
    harness.Host<Forgetful>([=] { return kj::heap<Forgetful>(saves, loads); });
    office = harness.Get<BoxOffice>("hamlet");
  }
  Harness harness{{.renewal = GetParam()}};
  BoxOffice::Ref office;
};

TEST_P(ForgetfulTest, WhatSaveForgetsIsGoneAtTheNextTurn) {
  Begin(false, true);
  harness.Await(office.Open(10));
  const bool renewed = GetParam() == Renewal::kAfterEachTurn;
  EXPECT_EQ(harness.Await(office.Left()), renewed ? 0u : 10u);
  harness.Restart(office);
  EXPECT_EQ(harness.Await(office.Left()), 0u);
}

TEST_P(ForgetfulTest, WhatLoadDoesNotTakeOnIsAFailureThatNamesTheActor) {
  Begin(true, false);
  harness.Await(office.Open(10));
  EXPECT_NONFATAL_FAILURE(
      {
        harness.Restart(office);
        harness.Await(office.Left());
      },
      "BoxOffice/hamlet: Load does not take on all that Save wrote: (free = 10, held = 0); loaded "
      "from that, Save writes (free = 100, held = 0)");
}

TEST_P(ForgetfulTest, ATimerKeepsItsObjectUntilItIsRestarted) {
  Begin(true, true);
  harness.Await(office.Open(10));
  harness.Await(office.Hold(0));
  harness.Advance(absl::Milliseconds(3500));
  EXPECT_EQ(harness.Await(office.Left()), 13u);
  harness.Restart(office);
  harness.Advance(absl::Seconds(5));
  EXPECT_EQ(harness.Await(office.Left()), 13u);
}

INSTANTIATE_TEST_SUITE_P(Renewals, ForgetfulTest,
                         ::testing::Values(Renewal::kAfterEachTurn, Renewal::kAsInProduction));

// ---- Misuse

TEST_F(HarnessTest, ATypeThatIsNotHostedIsNamedWithThoseThatAre) {
  Harness harness;
  harness.Host<BoxOfficeActor>();
  EXPECT_THAT(Refused([&] { harness.Get<Mailer>("smtp"); }),
              AllOf(HasSubstr("no Mailer is hosted here"), HasSubstr("Host<MailerActor>()"),
                    HasSubstr("Hosted are: BoxOffice")));
  EXPECT_THAT(Refused([&] { harness.Host<BoxOfficeActor>(); }),
              HasSubstr("BoxOffice is hosted already"));
}

TEST_F(HarnessTest, TwoAtOnceAreRefused) {
  Begin();
  Harness second;
  second.Host<BoxOfficeActor>();
  EXPECT_THAT(Refused([&] { second.cluster(); }), HasSubstr("one Harness, LocalNode or other KJ"));
}

TEST_F(HarnessTest, AnAwaitThatNeverEndsTellsWhatWaits) {
  Begin();
  smtp_->Hangs("send");
  auto sold = office_.Sell(1, "bob").AsPromise().eagerlyEvaluate(nullptr);
  EXPECT_THAT(Refused([&] { harness_->Await(kj::mv(sold), absl::Seconds(5)); }),
              AllOf(HasSubstr("no answer after 5s of virtual time"),
                    HasSubstr("BoxOffice/hamlet: sell(seats = 1, to = \"bob\"), for "),
                    HasSubstr("Mailer/smtp: send(to = \"bob\", text = \"1 seats\"), for ")));
  EXPECT_THAT(Refused([&] { harness_->Await(kj::Promise<void>(kj::NEVER_DONE)); }),
              HasSubstr("no answer after 6m"));
}

TEST_F(HarnessTest, FailoverOfASingleNodeSaysWhatItNeeds) {
  Begin();
  EXPECT_THAT(Refused([&] { harness_->Failover(office_); }), HasSubstr("{.nodes = 3}"));
  EXPECT_THAT(Refused([&] { harness_->NextCall(office_).KillsItsNode(); }),
              HasSubstr("{.nodes = 3}"));
}

// ---- When a test fails

// Run by the test below.
TEST_F(HarnessTest, DISABLED_Fails) {
  Begin();
  harness_->Await(office_.Sell(2, "bob"));
  harness_->Fails(office_.Sell(20, "bob"));
  FAIL();
}
TEST_F(HarnessTest, DISABLED_Throws) {
  Begin();
  harness_->Await(office_.Sell(20, "bob"));
}

std::string OutputOf(const std::string& test) {
  const std::string command = "/proc/" + std::to_string(getpid()) +
                              "/exe --gtest_also_run_disabled_tests --gtest_filter=" + test +
                              " 2>&1";
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) out += static_cast<char>(c);
  pclose(pipe);
  return out;
}

TEST_F(HarnessTest, DISABLED_CallsWhomNobodyHosts) {
  Harness harness;
  harness.Host<BoxOfficeActor>();
  auto office = harness.Get<BoxOffice>("hamlet");
  harness.Await(office.Open(10));
  harness.Await(office.Sell(2, "bob"));
}

TEST_F(HarnessTest, AFailedTestPrintsItsLastTurns) {
  EXPECT_THAT(OutputOf("HarnessTest.DISABLED_Fails"),
              AllOf(HasSubstr("the last turns, seed 1:"),
                    HasSubstr("BoxOffice/hamlet: open(seats = 10): answered (); Save wrote (free = "
                              "10, held = 0)\n"),
                    HasSubstr("BoxOffice/hamlet: sell(seats = 20, to = \"bob\"): failed: ")));
  EXPECT_THAT(OutputOf("HarnessTest.DISABLED_Throws"), HasSubstr("failed: expected"));
  EXPECT_THAT(OutputOf("HarnessTest.DISABLED_CallsWhomNobodyHosts"),
              AllOf(HasSubstr("sell(seats = 2, to = \"bob\"): failed: actor "),
                    HasSubstr("no actors of type"),
                    HasSubstr("whom the test's actors call must be hosted")));
}

}  // namespace
