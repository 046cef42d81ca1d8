// Swim, doubting: suspicion timers, refutation, and being accused ourselves.
#include <cmath>

#include "swim_fixture.h"

namespace troupe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kLeast = absl::Milliseconds(600);  // lan-fast, up to 10 members.
constexpr absl::Duration kMost = absl::Milliseconds(2400);

// ---- The timer by itself.

TEST(Suspicion, ShortensAlongTheLogarithmAndNeverBelowTheLeast) {
  Suspicion suspicion(kStart, absl::Seconds(2), absl::Seconds(30), 3, "a");
  EXPECT_EQ(suspicion.deadline(), kStart + absl::Seconds(30));
  ASSERT_TRUE(suspicion.Confirm("b"));
  EXPECT_EQ(suspicion.deadline(), kStart + absl::Seconds(16));  // 30 - log(2)/log(4) * 28.
  ASSERT_TRUE(suspicion.Confirm("c"));
  EXPECT_EQ(suspicion.deadline(), kStart + absl::Milliseconds(7810));
  ASSERT_TRUE(suspicion.Confirm("d"));
  EXPECT_EQ(suspicion.deadline(), kStart + absl::Seconds(2));
  EXPECT_FALSE(suspicion.Confirm("e"));
  EXPECT_EQ(suspicion.deadline(), kStart + absl::Seconds(2));
}

TEST(Suspicion, CountsEachAccuserOnce) {
  Suspicion suspicion(kStart, absl::Seconds(2), absl::Seconds(30), 3, "a");
  EXPECT_FALSE(suspicion.Confirm("a"));
  EXPECT_TRUE(suspicion.Confirm("b"));
  EXPECT_FALSE(suspicion.Confirm("b"));
  EXPECT_EQ(suspicion.accusers(), 2);
}

TEST(Suspicion, WithoutAnyoneToConfirmTakesTheLeast) {
  EXPECT_EQ(Suspicion(kStart, absl::Seconds(2), absl::Seconds(30), 0, "a").deadline(),
            kStart + absl::Seconds(2));
}

// ---- Of others.

class SwimSuspicion : public SwimFixture {};

TEST_F(SwimSuspicion, NobodyConfirmsWaitsTheLongestThenDies) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b")});
  Run(kMost - absl::Milliseconds(1));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Run(absl::Milliseconds(2));
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
  EXPECT_EQ(notices.back().accusers, 1);
}

TEST_F(SwimSuspicion, RepeatedByTheSameAccuserIsNotFaster) {
  answering = {"*"};
  Know({"a", "b", "c"});
  for (int i = 0; i < 5; ++i) Hear({Suspect("a", 0, "b")});
  Run(kMost - absl::Milliseconds(1));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
}

TEST_F(SwimSuspicion, ConfirmedByAnotherAccuserDiesSoonerAndSaysHowManyAccused) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b")});
  Hear({Suspect("a", 0, "c")});
  Run(kLeast - absl::Milliseconds(1));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Run(absl::Milliseconds(2));
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
  EXPECT_EQ(notices.back().accusers, 2);
}

TEST_F(SwimSuspicion, ConfirmedAfterTheShortenedTimeDiesAtOnce) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b")});
  Run(kLeast + absl::Milliseconds(200));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Hear({Suspect("a", 0, "c")});
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
}

TEST_F(SwimSuspicion, InAClusterOfTwoTakesTheLeast) {
  Know({"a"});
  Hear({Suspect("a", 0, "gone")});
  Run(kLeast + absl::Milliseconds(1));
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
}

TEST_F(SwimSuspicion, IsPassedOnWithTheNameOfEachNewAccuser) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b")});
  Run(absl::Milliseconds(60));
  Hear({Suspect("a", 0, "c")});
  Run(absl::Milliseconds(60));
  std::vector<std::string> accusers;
  for (const Member& rumour : Told("a")) accusers.push_back(rumour.accuser);
  EXPECT_THAT(accusers, Contains("b"));
  EXPECT_THAT(accusers, Contains("c"));
}

TEST_F(SwimSuspicion, OfManyAtOnceStillLetsEachRefute) {
  answering = {"*"};
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("n" + std::to_string(i));
  Know(names);
  for (const std::string& accuser : names) {
    for (const std::string& accused : names) {
      if (accuser != accused) Hear({Suspect(accused, 0, accuser)});
    }
  }
  Run(kLeast / 2);
  EXPECT_THAT(Noticed(Kind::kDied), IsEmpty());
  for (const std::string& name : names) Hear({Alive(name, 1)}, name);
  Run(absl::Seconds(10));
  EXPECT_THAT(Noticed(Kind::kDied), IsEmpty());
  EXPECT_EQ(Noticed(Kind::kRefuted).size(), names.size());
}

TEST_F(SwimSuspicion, IsTakenFromPushPullForDead) {
  answering = {"*"};
  Know({"a", "b", "c"});
  HearPushPull({Dead("a", 0, "b")});
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Hear({Alive("a", 1)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimSuspicion, IsToldToTheSuspectInThePingItself) {
  Know({"a"});
  Hear({Suspect("a", 4, "b")});
  Run(absl::Milliseconds(300));  // Past the retransmissions.
  Forget();
  RunToPingOf("a");
  bool told = false;
  for (const Sent& one : sent) {
    if (!std::holds_alternative<Ping>(one.datagram.body) || one.to != "a:2") continue;
    ASSERT_FALSE(one.datagram.updates.empty());
    EXPECT_EQ(one.datagram.updates[0].id.name, "a");
    EXPECT_EQ(one.datagram.updates[0].state, MemberState::kSuspect);
    told = true;
  }
  EXPECT_TRUE(told);
}

// A timer that could not run is not a verdict: whoever was suspect keeps the time it had left.
TEST_F(SwimSuspicion, IsNotDecidedByAStallOfOurOwn) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b"), Suspect("a", 0, "c")});
  now += absl::Seconds(30);
  Hear({Suspect("b", 0, "c")});  // Sockets are read before timers judge.
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  EXPECT_GT(swim.health(), 0);
  Run(absl::Milliseconds(100));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Hear({Alive("a", 1)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

// ---- Of ourselves.

class SwimAccused : public SwimFixture {};

TEST_F(SwimAccused, RefutesAboveTheAccusingIncarnationAndDoubtsItsOwnHealth) {
  Know({"a", "b"});
  Hear({Suspect("me", 41, "a")});
  EXPECT_EQ(swim.self().incarnation, 42u);
  EXPECT_EQ(swim.health(), 1);
  EXPECT_EQ(notices.back().kind, Kind::kAccused);
  EXPECT_EQ(notices.back().member.accuser, "a");
  Run(absl::Milliseconds(100));
  ASSERT_FALSE(Told("me").empty());
  EXPECT_EQ(Told("me").front().incarnation, 42u);
  EXPECT_EQ(Told("me").front().state, MemberState::kAlive);
}

TEST_F(SwimAccused, OfAnOldIncarnationChangesNothing) {
  Know({"a", "b"});
  Hear({Suspect("me", 0, "a")});
  Hear({Suspect("me", 0, "a"), Suspect("me", 0, "b"), Dead("me", 0, "b")});
  EXPECT_EQ(swim.self().incarnation, 1u);
  EXPECT_EQ(swim.health(), 1);
  EXPECT_EQ(swim.counters().refutations, 1u);
}

TEST_F(SwimAccused, OfDeathRefutesToo) {
  Know({"a"});
  Hear({Dead("me", 0, "a")});
  EXPECT_EQ(swim.self().incarnation, 1u);
}

TEST_F(SwimAccused, OfHavingLeftRefutesToo) {
  Hear({Left("me", 3)});
  EXPECT_EQ(swim.self().incarnation, 4u);
}

TEST_F(SwimAccused, WhileLeavingRefutesNothing) {
  Know({"a"});
  SwimActions actions;
  swim.Leave(now, actions);
  Hear({Dead("me", 0, "a"), Suspect("me", 7, "a")});
  EXPECT_EQ(swim.self().incarnation, 0u);
  EXPECT_EQ(swim.self().state, MemberState::kLeft);
}

// The refutation may have been lost: whoever repeats the accusation hears it again in the ack.
TEST_F(SwimAccused, InAPingAnswersWithTheRefutationEvenIfThatIsOld) {
  Know({"a"});
  Hear({Suspect("me", 0, "a")});
  Run(absl::Seconds(1));
  Forget();
  HearBody("a", Ping{5, "me", NonceOf("me")}, {Suspect("me", 0, "a")});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(std::get<PingAck>(sent[0].datagram.body).sequence, 5u);
  ASSERT_FALSE(sent[0].datagram.updates.empty());
  EXPECT_EQ(sent[0].datagram.updates[0], swim.self());
}

TEST_F(SwimAccused, OfALeapingIncarnationDoesNotFollow) {
  Hear({Suspect("me", UINT64_MAX, "a"), Dead("me", uint64_t{1} << 60, "a")});
  EXPECT_EQ(swim.self().incarnation, 0u);
  Hear({Suspect("me", 0, "a")});
  EXPECT_EQ(swim.self().incarnation, 1u);
}

TEST_F(SwimAccused, OfOtherContentOutbidsIt) {
  Member wrong = Alive("me");
  wrong.rpc_address = "elsewhere:1";
  Hear({wrong});
  EXPECT_EQ(swim.self().incarnation, 1u);
  EXPECT_EQ(swim.self().rpc_address, "me:1");
  EXPECT_EQ(swim.health(), 0);  // Nobody doubts that we live.
}

TEST_F(SwimAccused, AliveAsWeAreIsNoNews) {
  Hear({Alive("me")});
  EXPECT_EQ(swim.self().incarnation, 0u);
  EXPECT_EQ(swim.counters().refutations, 0u);
}

TEST_F(SwimAccused, MeaningOurPredecessorIsToldToTheOwnerAndNotRefuted) {
  Know({"a"});
  Hear({Alive("me", 9, 7, 1)});
  Hear({Suspect("me", 9, "a", 7, 1)});
  EXPECT_EQ(swim.self().incarnation, 0u);
  EXPECT_THAT(Noticed(Kind::kNameHeld), ElementsAre("me"));
  EXPECT_EQ(notices.back().member.id.boot, 7u);
  EXPECT_EQ(swim.Members().size(), 2u);  // And is never a member beside us, to be probed.
}

TEST_F(SwimAccused, OnHearingThatThePredecessorDiedAnnouncesItself) {
  Know({"a"});
  Run(absl::Seconds(20));
  Forget();
  Hear({Alive("a", 1)});
  Hear({Dead("me", 9, "a", 7, 1)});
  Run(absl::Milliseconds(60));
  ASSERT_FALSE(Told("me").empty());
  EXPECT_EQ(Told("me").front(), swim.self());
}

TEST_F(SwimAccused, TwoClaimantsOfANameDoNotFloodTheCluster) {
  answering = {"*"};
  Know({"a", "b"});
  Run(absl::Seconds(1));
  Forget();
  for (int i = 0; i < 100; ++i) {
    Hear({Alive("me", 0, 0, 1)});
    Run(absl::Milliseconds(50));
  }
  EXPECT_LE(Told("me").size(), 20u);
}

class SwimRegistered : public SwimFixture {
 public:
  SwimRegistered() : SwimFixture(LanFastProfile(), 5) {}
};

TEST_F(SwimRegistered, IsSupersededByAHigherBootOfItsNameAndFallsSilent) {
  answering = {"*"};
  Know({"a", "b"});
  Hear({Alive("me", 0, 6, 1)});
  EXPECT_THAT(Noticed(Kind::kSuperseded), ElementsAre("me"));
  Hear({Alive("me", 1, 6, 1), Dead("me", 0, "a", 5)});
  EXPECT_EQ(Noticed(Kind::kSuperseded).size(), 1u);
  Forget();
  Run(absl::Seconds(1));
  EXPECT_THAT(Told("me"), IsEmpty());
}

TEST_F(SwimRegistered, IgnoresRumoursOfAnOlderRun) {
  Hear({Alive("me", 9, 4, 1), Dead("me", 9, "a", 4, 1)});
  EXPECT_EQ(swim.self().incarnation, 0u);
  EXPECT_THAT(notices, IsEmpty());
}

TEST_F(SwimRegistered, TellsTheOldRunThatItsNameHasMovedOn) {
  Hear({Alive("x", 0, 9, 1)});
  Forget();
  HearBody("x", Ping{1, "me", NonceOf("me")});  // The old run of x, nonce 0, still pings.
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_FALSE(sent[0].datagram.updates.empty());
  EXPECT_EQ(sent[0].datagram.updates[0].id, (MemberId{"x", NonceOf("x", 1), 9}));
}

TEST_F(SwimAccused, AMemberTakenForDeadIsToldWhenItSpeaks) {
  Know({"a", "b"});
  Hear({Dead("a", 3, "b")});
  Run(absl::Seconds(20));
  Forget();
  HearBody("a", Ping{1, "me", NonceOf("me")});
  ASSERT_EQ(sent.size(), 1u);  // One packet for one packet: no flood.
  ASSERT_EQ(sent[0].datagram.updates.size(), 1u);
  EXPECT_EQ(sent[0].datagram.updates[0].state, MemberState::kDead);
  Hear({Alive("a", 4)}, "a");
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

}  // namespace
}  // namespace troupe
