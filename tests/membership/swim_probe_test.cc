// Swim, probing: pings, helpers, nacks, the link, and our own health.
#include <map>

#include "swim_fixture.h"

namespace troupe {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kTimeout = absl::Milliseconds(80);
constexpr absl::Duration kInterval = absl::Milliseconds(200);

class SwimProbe : public SwimFixture {
 public:
  Ping PingThenSilence(const std::string& name) {
    Ping ping = RunToPingOf(name);
    Forget();
    return ping;
  }
  std::vector<std::string> Helpers() const {
    std::vector<std::string> helpers;
    for (const auto& [to, request] : SentBodies<PingReq>()) helpers.push_back(to);
    return helpers;
  }
  void Raise(int points) {  // By local failures, spaced out so that each counts.
    for (int i = 0; i < points; ++i) {
      now += kInterval;
      SwimActions actions;
      swim.OnSendFailed(now, "nowhere:2", Swim::SendFailure::kLocal, actions);
    }
  }
};

TEST_F(SwimProbe, VisitsEveryMemberOncePerRoundInChangingOrder) {
  answering = {"*"};
  std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g"};
  Know(names);
  Run(absl::Seconds(70));
  std::vector<std::string> order;
  for (const auto& [to, ping] : SentBodies<Ping>()) order.push_back(ping.name);
  ASSERT_GT(order.size(), 300u);
  std::set<std::vector<std::string>> orders;
  size_t first = 0;  // Rounds are aligned with the ring, which was filled before the first ping.
  for (; first + names.size() <= order.size(); first += names.size()) {
    std::vector<std::string> round(order.begin() + first, order.begin() + first + names.size());
    orders.insert(round);
    std::set<std::string> distinct(round.begin(), round.end());
    EXPECT_EQ(distinct.size(), names.size());
  }
  EXPECT_GT(orders.size(), 10u);
}

TEST_F(SwimProbe, SkipsTheDeadTheLeftAndItself) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Dead("a", 0, "c"), Left("b", 0)});
  Forget();
  Run(absl::Seconds(3));
  for (const auto& [to, ping] : SentBodies<Ping>()) EXPECT_EQ(ping.name, "c");
}

TEST_F(SwimProbe, EndsWhenNobodyIsLeft) {
  Run(absl::Seconds(3));
  EXPECT_THAT(sent, IsEmpty());
  Know({"a"});
  Hear({Left("a", 0)});
  Forget();
  Run(absl::Seconds(60));
  EXPECT_THAT(SentBodies<Ping>(), IsEmpty());
}

TEST_F(SwimProbe, OfAMemberThatVanishesInTheMiddleHasNoVerdict) {
  answering = {"b"};
  Know({"a", "b"});
  PingThenSilence("a");
  Hear({Left("a", 0)});
  Run(absl::Seconds(2));
  EXPECT_EQ(StateOf("a"), MemberState::kLeft);
  EXPECT_THAT(Noticed(Kind::kSuspected), IsEmpty());
  EXPECT_GT(SentBodies<Ping>().size(), 5u);  // The cycle goes on.
}

TEST_F(SwimProbe, AnsweredInTimeAsksNobodyForHelp) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Run(absl::Seconds(5));
  EXPECT_THAT(SentBodies<PingReq>(), IsEmpty());
  EXPECT_THAT(link_pings, IsEmpty());
  EXPECT_THAT(Noticed(Kind::kSuspected), IsEmpty());
}

TEST_F(SwimProbe, UnansweredAsksHelpersAndTheLinkThenSuspects) {
  answering = {"b", "c", "d", "e"};
  Know({"a", "b", "c", "d", "e"});
  PingThenSilence("a");
  Run(kTimeout + absl::Milliseconds(1));
  EXPECT_EQ(Helpers().size(), 3u);
  ASSERT_EQ(link_pings.size(), 1u);
  EXPECT_EQ(link_pings[0].member.id.name, "a");
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  Run(kInterval);
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
}

TEST_F(SwimProbe, AsksEveryCandidateWhenThereAreFew) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  for (int i = 0; i < 50; ++i) {
    Ping ping = PingThenSilence("a");
    Run(kTimeout + absl::Milliseconds(1));
    EXPECT_THAT(Helpers(), UnorderedElementsAre("b:2", "c:2"));
    HearBody("b", PingAck{ping.sequence, NonceOf("a")});
    Forget();
  }
}

TEST_F(SwimProbe, SavedByAnIndirectAck) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  Ping ping = PingThenSilence("a");
  Run(kTimeout + absl::Milliseconds(1));
  HearBody("b", PingAck{ping.sequence, NonceOf("a")});
  Run(absl::Milliseconds(150));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kSuspected), IsEmpty());
}

TEST_F(SwimProbe, SavedByTheLinkAloneAndSaysThatDatagramsAreLost) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  PingThenSilence("a");
  Run(kTimeout + absl::Milliseconds(1));
  SwimActions actions;
  swim.OnLinkPing(now, link_pings.at(0).probe, Swim::LinkPing::kAnswered, actions);
  Run(absl::Milliseconds(150));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kNoDatagrams), ElementsAre("a"));
  EXPECT_EQ(swim.health(), 0);
}

TEST_F(SwimProbe, IgnoresAcksOfAWrongSequenceAWrongProcessOrTooLate) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  Ping ping = PingThenSilence("a");
  HearBody("a", PingAck{ping.sequence + 1000, NonceOf("a")});
  HearBody("a", PingAck{ping.sequence, NonceOf("a", 1)});
  EXPECT_EQ(swim.counters().stray_acks, 2u);
  Run(kInterval + absl::Milliseconds(1));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  HearBody("a", PingAck{ping.sequence, NonceOf("a")});
  EXPECT_EQ(swim.counters().stray_acks, 3u);
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
}

TEST_F(SwimProbe, AckBehindItsDeadlineIsIgnoredEvenIfNoTimerHasRun) {
  Know({"a", "b"});
  Ping ping = PingThenSilence("a");
  now += kInterval + absl::Milliseconds(1);
  HearBody("a", PingAck{ping.sequence, NonceOf("a")});
  EXPECT_EQ(swim.counters().stray_acks, 1u);
}

// ---- Our own health.

TEST_F(SwimProbe, SuccessLowersTheScore) {
  answering = {"*"};
  Know({"a", "b"});
  Raise(3);
  EXPECT_EQ(swim.health(), 3);
  Run(absl::Seconds(3));
  EXPECT_EQ(swim.health(), 0);
}

TEST_F(SwimProbe, FailureWithAllNacksLeavesTheScore) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  Ping ping = PingThenSilence("a");
  Run(kTimeout + absl::Milliseconds(1));
  HearBody("b", Nack{ping.sequence});
  HearBody("c", Nack{ping.sequence});
  answering.clear();
  Run(absl::Milliseconds(119));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  EXPECT_EQ(swim.health(), 0);
}

TEST_F(SwimProbe, EachMissingNackRaisesTheScoreAndRepeatedOnesCountOnce) {
  answering = {"b", "c", "d"};
  Know({"a", "b", "c", "d"});
  Ping ping = PingThenSilence("a");
  Run(kTimeout + absl::Milliseconds(1));
  HearBody("b", Nack{ping.sequence});
  HearBody("b", Nack{ping.sequence});
  HearBody("stranger", Nack{ping.sequence});
  answering.clear();
  Run(absl::Milliseconds(119));
  EXPECT_EQ(swim.health(), 2);
}

TEST_F(SwimProbe, FailureWithoutAnyHelperRaisesTheScoreByOne) {
  Know({"a"});
  PingThenSilence("a");
  Run(kInterval + absl::Milliseconds(1));
  EXPECT_EQ(swim.health(), 1);
}

TEST_F(SwimProbe, ScoreStretchesTheIntervalAndNotTheTimeout) {
  Know({"a", "b"});
  Raise(3);
  Ping ping = RunToPingOf("a");
  absl::Time sent_at = now;
  Forget();
  Run(kTimeout + absl::Milliseconds(10));
  EXPECT_EQ(Helpers().size(), 1u);  // Help is asked after the same timeout.
  Run(absl::Milliseconds(700) - (now - sent_at));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);  // The verdict waits for four intervals.
  EXPECT_THAT(SentBodies<Ping>(), IsEmpty());
  HearBody("b", PingAck{ping.sequence, NonceOf("a")});
  EXPECT_EQ(swim.health(), 2);
}

TEST_F(SwimProbe, OfASickObserverAccusesNobodyOnOneFailureButOnThreeInARow) {
  Know({"a"});
  Raise(7);
  PingThenSilence("a");
  Run(absl::Milliseconds(1600));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  Run(absl::Milliseconds(3300));
  EXPECT_NE(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimProbe, ALocalSendFailureAccusesNobodyHoweverOftenItComes) {
  Know({"a"});
  for (int i = 0; i < 200; ++i) {
    Run(absl::Milliseconds(10));
    SwimActions actions;
    swim.OnSendFailed(now, "a:2", Swim::SendFailure::kLocal, actions);
  }
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_GT(swim.health(), 0);
}

// ---- What others ask of us.

TEST_F(SwimProbe, PingIsAcked) {
  HearBody("a", Ping{17, "me", NonceOf("me")});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, "a:2");
  EXPECT_EQ(std::get<PingAck>(sent[0].datagram.body), (PingAck{17, NonceOf("me")}));
}

TEST_F(SwimProbe, PingForAnotherNameOrAnEarlierProcessOfOursIsNotAcked) {
  HearBody("a", Ping{17, "other", NonceOf("other")});
  HearBody("a", Ping{18, "me", NonceOf("me", 1)});
  HearBody("a", Ping{19, "other", NonceOf("me")});
  EXPECT_THAT(sent, IsEmpty());
  EXPECT_EQ(swim.counters().not_for_us, 3u);
}

TEST_F(SwimProbe, HelperPingsTheTargetAndPassesTheAckOn) {
  Know({"a", "t"});
  HearBody("a", PingReq{77, "t", NonceOf("t")});
  auto pings = SentBodies<Ping>();
  ASSERT_EQ(pings.size(), 1u);
  EXPECT_EQ(pings[0].first, "t:2");
  Forget();
  HearBody("t", PingAck{pings[0].second.sequence, NonceOf("t")});
  auto acks = SentBodies<PingAck>();
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0], (std::pair<std::string, PingAck>("a:2", PingAck{77, NonceOf("t")})));
  Forget();
  Run(kTimeout * 2);
  EXPECT_THAT(SentBodies<Nack>(), IsEmpty());
}

TEST_F(SwimProbe, HelperSendsANackWhenTheTargetIsSilentAndNoAckAfterIt) {
  Know({"a", "t"});
  HearBody("a", PingReq{77, "t", NonceOf("t")});
  uint64_t sequence = SentBodies<Ping>().at(0).second.sequence;
  HearBody("x", PingAck{sequence, NonceOf("x")});  // Of somebody else.
  Run(kTimeout + absl::Milliseconds(1));
  EXPECT_EQ(SentBodies<Nack>(), (std::vector<std::pair<std::string, Nack>>{{"a:2", Nack{77}}}));
  HearBody("t", PingAck{sequence, NonceOf("t")});
  EXPECT_THAT(SentBodies<PingAck>(), IsEmpty());
}

TEST_F(SwimProbe, HelperThatDoesNotKnowTheTargetSendsANackAtOnce) {
  Know({"a"});
  HearBody("a", PingReq{77, "ghost", NonceOf("ghost")});
  EXPECT_EQ(SentBodies<Nack>().size(), 1u);
  EXPECT_THAT(SentBodies<Ping>(), IsEmpty());
}

TEST_F(SwimProbe, RelaysAreBounded) {
  Know({"a", "t"});
  for (uint64_t i = 0; i < kRelaysMax + 10; ++i) HearBody("a", PingReq{i, "t", NonceOf("t")});
  EXPECT_EQ(SentBodies<Nack>().size(), 10u);
}

// ---- Evidence.

TEST_F(SwimProbe, LostLinkProbesAtOnceDirectlyAndThroughHelpers) {
  Know({"a", "b", "c"});
  SwimActions actions;
  swim.OnLinkLost(now, "a", NonceOf("a"), Swim::LinkEnd::kReset, actions);
  EXPECT_EQ(actions.datagrams.size(), 3u);
  EXPECT_EQ(actions.link_pings.size(), 1u);
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimProbe, LostLinkOfAMemberThatAnswersIsJustToldSo) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  SwimActions actions;
  swim.OnLinkLost(now, "a", NonceOf("a"), Swim::LinkEnd::kEof, actions);
  uint64_t sequence = std::get<Ping>(DecodeDatagram(actions.datagrams.at(0).bytes)->body).sequence;
  now += absl::Milliseconds(3);
  HearBody("a", PingAck{sequence, NonceOf("a")});
  ASSERT_THAT(Noticed(Kind::kProbeAnswered), ElementsAre("a"));
  EXPECT_EQ(notices.back().round_trip, absl::Milliseconds(3));
}

TEST_F(SwimProbe, LostLinkOfASilentMemberIsSuspicionWithinTwoTimeouts) {
  answering = {"b", "c"};
  Know({"a", "b", "c"});
  SwimActions actions;
  swim.OnLinkLost(now, "a", NonceOf("a"), Swim::LinkEnd::kEof, actions);
  Run(2 * kTimeout + absl::Milliseconds(1));
  EXPECT_THAT(Noticed(Kind::kProbeFailed), ElementsAre("a"));
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
}

TEST_F(SwimProbe, LostLinkOfAnEarlierProcessMeansNothing) {
  Know({"a"});
  SwimActions actions;
  swim.OnLinkLost(now, "a", NonceOf("a", 1), Swim::LinkEnd::kEof, actions);
  EXPECT_THAT(actions.datagrams, IsEmpty());
}

TEST_F(SwimProbe, EvidenceInAStreamStartsOneProbe) {
  Know({"a"});
  SwimActions actions;
  for (int i = 0; i < 100; ++i) {
    swim.OnLinkLost(now, "a", NonceOf("a"), Swim::LinkEnd::kEof, actions);
    swim.OnDatagramRefused(now, "a:2", actions);
  }
  EXPECT_EQ(actions.datagrams.size(), 1u);
}

TEST_F(SwimProbe, RefusalIsPassedUpAndProbed) {
  Know({"a", "b"});
  SwimActions actions;
  swim.OnPeerRefused(now, "a", NonceOf("a"), actions);
  swim.OnDatagramRefused(now, "b:2", actions);
  ASSERT_EQ(actions.notices.size(), 2u);
  EXPECT_EQ(actions.notices[0].kind, Kind::kRefused);
  EXPECT_EQ(actions.notices[0].detail, "tcp");
  EXPECT_EQ(actions.notices[1].member.id.name, "b");
  EXPECT_EQ(actions.notices[1].detail, "udp");
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);  // It decides nothing by itself.
}

TEST_F(SwimProbe, UnreachableIsProbedAtOnce) {
  Know({"a"});
  SwimActions actions;
  swim.OnSendFailed(now, "a:2", Swim::SendFailure::kUnreachable, actions);
  EXPECT_EQ(actions.datagrams.size(), 1u);
}

TEST_F(SwimProbe, TrafficSparesTheProbe) {
  Know({"a"});
  Run(absl::Milliseconds(1));
  for (int i = 0; i < 100; ++i) {
    swim.OnTraffic(now, "a", NonceOf("a"));
    Run(absl::Milliseconds(50));
  }
  EXPECT_THAT(SentBodies<Ping>(), IsEmpty());
}

TEST_F(SwimProbe, TrafficDuringTheProbeKeepsUsFromAccusing) {
  answering = {"b"};
  Know({"a", "b"});
  PingThenSilence("a");
  Run(absl::Milliseconds(100));
  swim.OnTraffic(now, "a", NonceOf("a"));
  Run(absl::Milliseconds(150));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kNoDatagrams), ElementsAre("a"));
}

TEST_F(SwimProbe, TrafficNeverClearsWhatOthersSay) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b"), Suspect("a", 0, "c")});
  for (int i = 0; i < 20; ++i) {
    swim.OnTraffic(now, "a", NonceOf("a"));
    Run(absl::Milliseconds(50));
  }
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
}

TEST_F(SwimProbe, TrafficBeforeTheLinkBrokeSparesNothing) {
  Know({"a"});
  swim.OnTraffic(now, "a", NonceOf("a"));
  SwimActions actions;
  swim.OnLinkLost(now, "a", NonceOf("a"), Swim::LinkEnd::kEof, actions);
  EXPECT_EQ(actions.datagrams.size(), 1u);
}

TEST_F(SwimProbe, LastSignIsOfThatProcessOnly) {
  Know({"a"});
  now += absl::Seconds(1);
  Hear({}, "a");
  EXPECT_EQ(swim.LastSignOf("a", NonceOf("a")), now);
  EXPECT_EQ(swim.LastSignOf("a", NonceOf("a", 1)), absl::InfinitePast());
}

TEST(ProbeRing, PutsNewMembersAtRandomPlacesAndSkipsNobody) {
  Random random(3);
  ProbeRing ring;
  std::map<MemberNumber, int> seen;
  auto any = [](MemberNumber) { return true; };
  for (MemberNumber i = 0; i < 50; ++i) ring.Add(i, random);
  for (int i = 0; i < 25; ++i) ++seen[*ring.Next(any, random)];
  for (MemberNumber i = 50; i < 100; ++i) ring.Add(i, random);
  ring.Remove(7);
  for (int i = 0; i < 100; ++i) {
    ++seen[*ring.Next(any, random)];
    if (seen.size() >= 99) break;
  }
  int twice = 0;
  for (const auto& [member, times] : seen) twice += times > 1;
  EXPECT_LE(twice,
            50);  // Those of the next round; of the first 25 none is visited again in this one.
}

TEST(ProbeRing, WithNobodyWantedEnds) {
  Random random(3);
  ProbeRing ring;
  auto nobody = [](MemberNumber) { return false; };
  EXPECT_EQ(ring.Next(nobody, random), std::nullopt);
  ring.Add(0, random);
  EXPECT_EQ(ring.Next(nobody, random), std::nullopt);
}

}  // namespace
}  // namespace troupe
