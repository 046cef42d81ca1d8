// Swim, telling: the broadcast queue, gossip rounds, joining, push/pull, leaving, and strangers.
#include <algorithm>

#include "swim_fixture.h"

namespace troupe {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// ---- The queue by itself.

std::vector<std::string> Names(const std::vector<Member>& members) {
  std::vector<std::string> names;
  for (const Member& member : members) names.push_back(member.id.name);
  return names;
}

TEST(BroadcastQueue, ANewerRumourReplacesTheOlderOneOfTheSameMember) {
  BroadcastQueue queue(10);
  queue.Add(Alive("a", 1));
  queue.Add(Suspect("a", 1, "b"));
  ASSERT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.Take(1000, 5, "")[0].state, MemberState::kSuspect);
}

// Keyed by name: an address shared or reused mixes up nobody.
TEST(BroadcastQueue, TwoMembersOfOneAddressDoNotReplaceEachOther) {
  BroadcastQueue queue(10);
  Member b = Alive("b");
  b.gossip_address = Alive("a").gossip_address;
  queue.Add(Alive("a"));
  queue.Add(b);
  EXPECT_EQ(queue.size(), 2u);
}

TEST(BroadcastQueue, SendsEachSoOftenAndTheLeastSentFirst) {
  BroadcastQueue queue(10);
  size_t one = EncodedBytes(Alive("a"));
  queue.Add(Alive("a"));
  EXPECT_THAT(Names(queue.Take(one, 3, "")), ElementsAre("a"));
  queue.Add(Alive("b"));
  EXPECT_THAT(Names(queue.Take(one, 3, "")), ElementsAre("b"));
  EXPECT_THAT(Names(queue.Take(2 * one, 3, "")), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(Names(queue.Take(2 * one, 3, "")), UnorderedElementsAre("a", "b"));
  EXPECT_TRUE(queue.empty());
}

TEST(BroadcastQueue, TakesTheLargestFirstAndFillsWithWhatFits) {
  BroadcastQueue queue(10);
  Member large = Alive("large");
  large.metadata = std::string(400, 'x');
  queue.Add(Alive("a"));
  queue.Add(large);
  queue.Add(Suspect("s", 1, "a"));
  EXPECT_THAT(Names(queue.Take(EncodedBytes(large) + EncodedBytes(Suspect("s", 1, "a")), 3, "")),
              ElementsAre("large", "s"));
  EXPECT_THAT(Names(queue.Take(EncodedBytes(Alive("a")), 3, "")), ElementsAre("a"));
}

TEST(BroadcastQueue, IsBoundedAndDropsWhatWasSentMost) {
  BroadcastQueue queue(2);
  queue.Add(Alive("a"));
  (void)queue.Take(1000, 9, "");
  queue.Add(Alive("b"));
  queue.Add(Alive("c"));
  EXPECT_THAT(Names(queue.Take(1000, 9, "")), UnorderedElementsAre("b", "c"));
}

TEST(BroadcastQueue, DoesNotTellAMemberThatItLives) {
  BroadcastQueue queue(4);
  queue.Add(Alive("a"));
  EXPECT_THAT(queue.Take(1000, 9, "a"), IsEmpty());
  queue.Add(Suspect("a", 0, "b"));
  EXPECT_THAT(queue.Take(1000, 9, "a"), SizeIs(1));
}

TEST(BroadcastQueue, LimitGrowsWithTheLogarithmAndCoversAllWhereAllAreTold) {
  EXPECT_EQ(RetransmitLimit(4, 9, GossipReach::kSampled), 4);
  EXPECT_EQ(RetransmitLimit(4, 10, GossipReach::kSampled), 8);
  EXPECT_EQ(RetransmitLimit(4, 1000, GossipReach::kSampled), 16);
  EXPECT_EQ(RetransmitLimit(4, 8, GossipReach::kExhaustive), 14);
}

// ---- Rounds.

class SwimGossip : public SwimFixture {
 public:
  std::set<std::string> Receivers(const std::string& about) const {
    std::set<std::string> to;
    for (const Sent& one : sent) {
      for (const Member& update : one.datagram.updates) {
        if (update.id.name == about) to.insert(one.to);
      }
    }
    return to;
  }
};

TEST_F(SwimGossip, AFewMembersAreAllTold) {
  answering = {"*"};
  Know({"a", "b", "c", "d", "e", "f"});
  Run(absl::Seconds(3));
  for (uint64_t i = 1; i <= 50; ++i) {
    Forget();
    Hear({Alive("a", i)});
    Run(absl::Milliseconds(300));
    for (const char* to : {"b:2", "c:2", "d:2", "e:2", "f:2"})
      EXPECT_THAT(Receivers("a"), Contains(to));
  }
}

TEST_F(SwimGossip, OfManyMembersAFewPerRoundAndASettledLimit) {
  answering = {"*"};
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("n" + std::to_string(i));
  Know(names);
  Run(absl::Seconds(5));
  Forget();
  Hear({Alive("n0", 1)});
  Run(absl::Seconds(3));
  EXPECT_EQ(Told("n0").size(), 8u);  // 4 * ceil(log10(42)).
}

TEST_F(SwimGossip, WithNothingToTellIsSilent) {
  answering = {"*"};
  Know({"a", "b"});
  Run(absl::Seconds(3));
  Forget();
  Run(absl::Seconds(60));
  EXPECT_THAT(SentBodies<GossipOnly>(), IsEmpty());
}

TEST_F(SwimGossip, ReachesTheRecentlyDeadForTheGraceTimeThenStops) {
  answering = {"*"};
  Know({"a", "b"});
  Hear({Dead("a", 0, "b")});
  Run(absl::Milliseconds(200));
  EXPECT_THAT(Receivers("a"), Contains("a:2"));  // It hears of its own death.
  Run(LanFastProfile().gossip_to_dead);
  Forget();
  Hear({Alive("b", 1), Alive("c")});
  Run(absl::Seconds(1));
  EXPECT_FALSE(sent.empty());
  for (const Sent& one : sent) EXPECT_NE(one.to, "a:2");
}

TEST_F(SwimGossip, RidesOnPingsAndAcks) {
  Know({"a", "b"});
  Hear({Alive("c")});
  Forget();
  HearBody("a", Ping{1, "me", NonceOf("me")});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_THAT(Names(sent[0].datagram.updates), Contains("c"));
}

TEST_F(SwimGossip, NeverExceedsADatagramHoweverMuchThereIsToTell) {
  for (int i = 0; i < 300; ++i) {
    Member member = Alive("member-with-a-long-name-" + std::to_string(i));
    member.metadata = std::string(static_cast<size_t>(i) % 512, 'm');
    Hear({member});
  }
  Run(absl::Seconds(2));  // The fixture checks every size.
  size_t fullest = 0;
  for (const Sent& one : sent) fullest = std::max(fullest, Encode(one.datagram).size());
  EXPECT_GT(fullest, 1250u);
}

TEST_F(SwimGossip, TombstonesOfDeadAndLeftAreReaped) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Dead("a", 0, "c"), Left("b", 0)});
  Run(LanFastProfile().tombstone_keep - absl::Minutes(1));
  EXPECT_TRUE(Knows("a"));
  Run(absl::Minutes(2));
  EXPECT_FALSE(Knows("a"));
  EXPECT_FALSE(Knows("b"));
  EXPECT_TRUE(Knows("c"));
}

TEST_F(SwimGossip, TombstonesAreCappedOldestFirst) {
  SwimOptions options;
  options.tombstones_max = 3;
  MemberList list(options);
  for (int i = 0; i < 6; ++i) {
    std::string name = "n" + std::to_string(i);
    list.Merge(kStart, Alive(name));
    list.Merge(kStart + absl::Seconds(i), Left(name, 0));
  }
  EXPECT_EQ(list.Reap(kStart + absl::Seconds(9)).size(), 3u);
  std::vector<std::string> kept;
  for (const MemberRecord& record : list.records()) kept.push_back(record.name());
  EXPECT_THAT(kept, ElementsAre("n3", "n4", "n5"));
}

TEST_F(SwimGossip, MembersAreCapped) {
  SwimOptions options;
  options.members_max = 2;
  MemberList list(options);
  for (const char* name : {"a", "b", "c"}) list.Merge(kStart, Alive(name));
  EXPECT_EQ(list.records().size(), 2u);
}

TEST_F(SwimGossip, OwnChangesAreToldAndMetadataRaisesTheIncarnation) {
  Know({"a"});
  swim.SetMapVersion(now, 9, Swim::MapNews::kAnnounce);
  Run(absl::Milliseconds(10));
  ASSERT_FALSE(Told("me").empty());
  EXPECT_EQ(Told("me").back().map_version, 9u);
  EXPECT_EQ(swim.self().incarnation, 0u);
  EXPECT_EQ(sent.back().datagram.header.map_version, 9u);
  ASSERT_TRUE(swim.SetMetadata(now, "zone=a").ok());
  EXPECT_EQ(swim.self().incarnation, 1u);
  swim.SetBoot(now, 12);
  Run(absl::Milliseconds(100));
  EXPECT_EQ(Told("me").back().id.boot, 12u);
  EXPECT_EQ(Told("me").back().metadata, "zone=a");
  EXPECT_FALSE(swim.SetMetadata(now, std::string(513, 'x')).ok());
}

// ---- Joining and push/pull.

class SwimPushPull : public SwimFixture {
 public:
  absl::Status Answer(uint64_t exchange, std::vector<Member> members, std::string from,
                      Id128 cluster = {}) {
    GossipHeader header = HeaderOf(from);
    header.cluster = cluster;
    SwimActions actions;
    absl::Status status =
        swim.MergePushPull(now, exchange, Encode(PushPull{header, members}), actions);
    for (auto& notice : actions.notices) notices.push_back(notice);
    return status;
  }
  void Fail(uint64_t exchange) {
    SwimActions actions;
    swim.OnPushPullFailed(now, exchange, actions);
    for (auto& notice : actions.notices) notices.push_back(notice);
  }
};

TEST_F(SwimPushPull, JoinsThroughOneOfSeveralSeeds) {
  swim.Join(now, {"dead:1", "s:1"});
  Run(absl::Milliseconds(1));
  ASSERT_THAT(push_pulls, SizeIs(2));
  for (const auto& one : push_pulls) {
    if (one.address == "dead:1") {
      Fail(one.exchange);
    } else {
      EXPECT_TRUE(Answer(one.exchange, {Alive("s"), Alive("a")}, "s").ok());
    }
  }
  EXPECT_TRUE(Knows("s"));
  EXPECT_TRUE(Knows("a"));
  EXPECT_EQ(Noticed(Kind::kJoinedCluster).size(), 1u);
}

TEST_F(SwimPushPull, UnreachableSeedsAreRetriedForEverEverMoreSlowlyAndSaid) {
  swim.Join(now, {"s:1"});
  std::vector<absl::Time> tries;
  for (int i = 0; i < 60000; ++i) {
    Run(absl::Milliseconds(10));
    for (const auto& one : push_pulls) {
      tries.push_back(now);
      Fail(one.exchange);
    }
    push_pulls.clear();
  }
  ASSERT_GT(tries.size(), 90u);  // In ten minutes, at most 6 s apart.
  EXPECT_LT(tries.size(), 200u);
  EXPECT_LT(tries[1] - tries[0], absl::Milliseconds(200));
  EXPECT_GT(tries[90] - tries[89], absl::Seconds(3));
  EXPECT_EQ(Noticed(Kind::kSeedFailed).size(), tries.size());
  EXPECT_EQ(notices.back().address, "s:1");
}

TEST_F(SwimPushPull, AnExchangeWithoutAnEndIsGivenUpAndTriedAgain) {
  swim.Join(now, {"s:1"});
  Run(absl::Seconds(20));
  EXPECT_GE(push_pulls.size(), 3u);
  EXPECT_LE(push_pulls.size(), 10u);
}

TEST_F(SwimPushPull, OfManySeedsOnlyAFewAreAskedAtOnce) {
  std::vector<std::string> seeds;
  for (int i = 0; i < 50; ++i) seeds.push_back("s" + std::to_string(i) + ":1");
  swim.Join(now, seeds);
  Run(absl::Milliseconds(100));
  EXPECT_THAT(push_pulls, SizeIs(3));
}

TEST_F(SwimPushPull, JoiningCanBeCancelled) {
  swim.Join(now, {"s:1"});
  swim.Join(now, {});
  Run(absl::Seconds(10));
  EXPECT_THAT(push_pulls, IsEmpty());
}

TEST_F(SwimPushPull, ASeedThatIsOurselvesIsDropped) {
  swim.Join(now, {"alias:1", "me:1"});
  Run(absl::Milliseconds(1));
  ASSERT_THAT(push_pulls, SizeIs(1));
  EXPECT_FALSE(Answer(push_pulls[0].exchange, {Alive("me")}, "me").ok());
  Forget();
  Run(absl::Seconds(30));
  EXPECT_THAT(push_pulls, IsEmpty());
}

TEST_F(SwimPushPull, ALostSeedIsTriedAgainSoThatAPartitionHeals) {
  swim.Join(now, {"s:1"});
  Run(absl::Milliseconds(1));
  ASSERT_TRUE(Answer(push_pulls.at(0).exchange, {Alive("s")}, "s").ok());
  answering = {"s"};
  Forget();
  Run(absl::Seconds(60));
  EXPECT_GT(push_pulls.size(), 5u);  // The regular ones, by name.
  for (const auto& one : push_pulls) EXPECT_EQ(one.name, "s");
  Hear({Left("s", 0)});
  Run(absl::Hours(2));  // Reaped long since.
  ASSERT_FALSE(Knows("s"));
  EXPECT_EQ(push_pulls.back().address, "s:1");
  EXPECT_EQ(push_pulls.back().name, "");
}

TEST_F(SwimPushPull, TheDeadAreTriedAgain) {
  answering = {"b"};
  Know({"a", "b"});
  Hear({Dead("a", 0, "b")});
  Forget();
  Run(absl::Seconds(30));
  std::vector<std::string> names;
  for (const auto& one : push_pulls) names.push_back(one.name);
  EXPECT_THAT(names, Contains("a"));
}

TEST_F(SwimPushPull, GivesAndTakesEverything) {
  Know({"a", "b"});
  Hear({Left("b", 0)});
  GossipHeader header = HeaderOf("x");
  SwimActions actions;
  auto answer =
      swim.AnswerPushPull(now, "x:1", Encode(PushPull{header, {Alive("x"), Alive("y")}}), actions);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(Knows("y"));
  auto decoded = DecodePushPull(*answer);
  ASSERT_TRUE(decoded.ok());
  EXPECT_THAT(Names(decoded->members), UnorderedElementsAre("me", "a", "b", "x", "y"));
}

TEST_F(SwimPushPull, TeachesMembersThatOthersOnlySuspect) {
  Member suspect = Alive("a", 3);
  suspect.state = MemberState::kSuspect;
  suspect.accuser = "b";
  HearPushPull({suspect});
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  EXPECT_EQ(swim.Find("a")->gossip_address, "a:2");
}

TEST_F(SwimPushPull, DoesNotBringBackTombstonesWeReaped) {
  Member dead = Alive("a", 3);
  dead.state = MemberState::kDead;
  dead.accuser = "b";
  HearPushPull({dead, Left("c", 0)});
  EXPECT_FALSE(Knows("a"));
  EXPECT_FALSE(Knows("c"));
}

TEST_F(SwimPushPull, KeepsALeftMemberLeft) {
  Know({"a"});
  HearPushPull({Left("a", 0)});
  EXPECT_EQ(StateOf("a"), MemberState::kLeft);
}

TEST_F(SwimPushPull, GarbageIsRefusedWithAReason) {
  SwimActions actions;
  std::vector<std::byte> garbage(64, std::byte{0x5a});
  EXPECT_EQ(swim.AnswerPushPull(now, "x:1", garbage, actions).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(swim.counters().malformed, 1u);
}

// Beyond 32 members views are compared by digests.
class SwimDigest : public SwimFixture {
 protected:
  SwimDigest() {
    for (int i = 0; i < 60; ++i) Hear({Alive("m" + std::to_string(i))});
    Forget();
  }
  PushPull Ask(const GossipDigest& digests, std::vector<Member> members,
               std::vector<uint16_t> buckets = {}) {
    SwimActions out;
    PushPull request{HeaderOf("m1"), std::move(members), digests, std::move(buckets)};
    auto answer = swim.AnswerPushPull(now, "m1:1", Encode(request), out);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return *DecodePushPull(*answer);
  }
  PushPull Request() { return *DecodePushPull(swim.MakePushPull(0)); }
};

TEST_F(SwimDigest, WhoAgreesIsSentNobody) {
  const PushPull request = Request();
  EXPECT_EQ(request.digests.size(), kDigestBuckets);
  EXPECT_EQ(request.members.size(), 1u);
  const PushPull answer = Ask(request.digests, {});
  EXPECT_TRUE(answer.members.empty());
  EXPECT_TRUE(answer.buckets.empty());
}

TEST_F(SwimDigest, WhoDiffersIsSentTheBucketsThatDoAndNamesThem) {
  GossipDigest theirs = Request().digests;
  AddToDigest(Alive("unknown"), theirs);
  const PushPull answer = Ask(theirs, {});
  ASSERT_EQ(answer.buckets, std::vector<uint16_t>{BucketOf("unknown")});
  EXPECT_LT(answer.members.size(), 5u);
  for (const Member& member : answer.members) {
    EXPECT_EQ(BucketOf(member.id.name), BucketOf("unknown"));
  }
}

TEST_F(SwimDigest, TheSecondRequestIsTakenInAndAnsweredWithNobody) {
  const PushPull answer = Ask({}, {Alive("unknown")}, {BucketOf("unknown")});
  EXPECT_TRUE(Knows("unknown"));
  EXPECT_TRUE(answer.members.empty());
}

TEST_F(SwimDigest, AnAnswerThatNamesBucketsIsFollowedByOurMembersOfThem) {
  for (int i = 0; i < 100 && push_pulls.empty(); ++i) Run(absl::Milliseconds(200));
  ASSERT_FALSE(push_pulls.empty());
  const auto asked = push_pulls.front();
  Forget();
  SwimActions out;
  const uint16_t bucket = BucketOf("m7");
  PushPull answer{HeaderOf("m1"), {}, {}, {bucket}};
  ASSERT_TRUE(swim.MergePushPull(now, asked.exchange, Encode(answer), out).ok());
  ASSERT_EQ(out.push_pulls.size(), 1u);
  EXPECT_EQ(out.push_pulls[0].address, asked.address);
  const PushPull second = *DecodePushPull(swim.MakePushPull(out.push_pulls[0].exchange));
  EXPECT_EQ(second.buckets, std::vector<uint16_t>{bucket});
  EXPECT_TRUE(std::any_of(second.members.begin(), second.members.end(),
                          [](const Member& member) { return member.id.name == "m7"; }));
}

TEST_F(SwimDigest, WhoAsksWithoutDigestsIsSentAll) {
  EXPECT_EQ(Ask({}, {Alive("m1")}).members.size(), 61u);
}

TEST_F(SwimDigest, TheDeadOnOneSideOnlyAreNoDifference) {
  const GossipDigest before = Request().digests;
  GossipDigest with_dead = before;
  AddToDigest(Dead("gone", 0, "m1"), with_dead);
  AddToDigest(Left("left", 0), with_dead);
  EXPECT_EQ(before, with_dead);
}

TEST_F(SwimDigest, MapVersionsHeardInAnExchangeAreNotGossipedOn) {
  answering = {"*"};
  Run(absl::Seconds(5));
  std::vector<Member> all;
  for (int i = 0; i < 60; ++i) {
    all.push_back(Alive("m" + std::to_string(i)));
    all.back().map_version = 9;
  }
  HearPushPull(all, "m1");
  Forget();
  Run(absl::Seconds(1));
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(Told("m" + std::to_string(i)).empty()) << i;
}

TEST_F(SwimDigest, DigestsAndBucketsAreBounded) {
  for (size_t count : {size_t{1}, kDigestBuckets - 1, kDigestBuckets + 1}) {
    PushPull request{HeaderOf("m1"), {}, GossipDigest(count), {}};
    EXPECT_FALSE(DecodePushPull(Encode(request)).ok()) << count;
  }
  PushPull beyond{HeaderOf("m1"), {}, {}, {uint16_t{kDigestBuckets}}};
  EXPECT_FALSE(DecodePushPull(Encode(beyond)).ok());
  PushPull many{HeaderOf("m1"), {}, {}, std::vector<uint16_t>(kDigestBuckets + 1)};
  EXPECT_FALSE(DecodePushPull(Encode(many)).ok());
}

// ---- Strangers.

class SwimStrangers : public SwimPushPull {};

TEST_F(SwimStrangers, OfAnotherClusterAreNotBelievedAndReported) {
  swim.SetCluster({1, 1});
  GossipHeader header = HeaderOf("x");
  header.cluster = {2, 2};
  Deliver({header, Ping{1, "me", NonceOf("me")}, {Alive("a")}});
  EXPECT_FALSE(Knows("a"));
  EXPECT_THAT(sent, IsEmpty());
  EXPECT_THAT(Noticed(Kind::kWrongCluster), ElementsAre("x"));
  EXPECT_EQ(notices.back().address, "x:2");
  EXPECT_EQ(swim.counters().wrong_cluster, 1u);
}

TEST_F(SwimStrangers, OfAnotherClusterCannotBeJoined) {
  swim.SetCluster({1, 1});
  swim.Join(now, {"s:1"});
  Run(absl::Milliseconds(1));
  absl::Status status = Answer(push_pulls.at(0).exchange, {Alive("s")}, "s", {2, 2});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(Knows("s"));
  EXPECT_EQ(Noticed(Kind::kSeedFailed).size(), 1u);  // And tried again: it may be refounded.
}

TEST_F(SwimStrangers, WithoutAClusterYetAreWelcome) {
  swim.SetCluster({1, 1});
  GossipHeader header = HeaderOf("x");
  header.cluster = {};
  Deliver({header, GossipOnly{}, {Alive("x")}});
  EXPECT_TRUE(Knows("x"));
}

TEST_F(SwimStrangers, TeachUsOurClusterWhenWeAskedAndThenNoOther) {
  swim.Join(now, {"s:1"});
  Run(absl::Milliseconds(1));
  ASSERT_TRUE(Answer(push_pulls.at(0).exchange, {Alive("s")}, "s", {1, 1}).ok());
  EXPECT_EQ(swim.cluster(), (Id128{1, 1}));
  EXPECT_EQ(Noticed(Kind::kClusterLearned).size(), 1u);
  EXPECT_FALSE(Answer(99, {Alive("t")}, "t", {2, 2}).ok());
  EXPECT_FALSE(Knows("t"));
}

TEST_F(SwimStrangers, WhoTakeOurAddressForAnothersDoNotMakeUsTheirs) {
  GossipHeader header = HeaderOf("x");
  header.cluster = {2, 2};
  Deliver({header, Ping{1, "former-owner", NonceOf("former-owner")}, {Alive("x")}});
  EXPECT_TRUE(swim.cluster().IsZero());
  EXPECT_FALSE(Knows("x"));
}

TEST_F(SwimStrangers, OfAnUnreadableVersionAreReportedAndOfANewerReadableOneUnderstood) {
  GossipHeader header = HeaderOf("x");
  header.version = kGossipVersion + 2;
  header.oldest = kGossipVersion + 1;
  Deliver({header, GossipOnly{}, {Alive("x")}});
  EXPECT_THAT(Noticed(Kind::kWrongVersion), ElementsAre("x"));
  EXPECT_FALSE(Knows("x"));
  header.oldest = kGossipVersion;
  Deliver({header, GossipOnly{}, {Alive("x")}});
  EXPECT_TRUE(Knows("x"));
}

TEST_F(SwimStrangers, AnotherClusterOfOursForgetsTheMembers) {
  swim.SetCluster({1, 1});
  Know({"a", "b"});
  swim.SetCluster({2, 2});
  EXPECT_EQ(swim.Members().size(), 1u);
  Run(absl::Seconds(5));
  EXPECT_THAT(sent, IsEmpty());
}

TEST_F(SwimStrangers, OurOwnDatagramComeBackIsNothing) {
  GossipHeader header = HeaderOf("me");
  Deliver({header, Ping{1, "me", NonceOf("me")}, {Alive("a")}});
  EXPECT_THAT(sent, IsEmpty());
}

// ---- Leaving.

class SwimLeaving : public SwimFixture {
 public:
  void Leave() {
    SwimActions actions;
    swim.Leave(now, actions);
    for (auto& notice : actions.notices) notices.push_back(notice);
  }
};

TEST_F(SwimLeaving, IsDoneWhenEverybodyHasBeenTold) {
  answering = {"*"};
  Know({"a", "b"});
  Run(absl::Seconds(1));
  Forget();
  Leave();
  EXPECT_THAT(Noticed(Kind::kLeaveDone), IsEmpty());
  Run(absl::Milliseconds(500));
  EXPECT_EQ(Noticed(Kind::kLeaveDone).size(), 1u);
  ASSERT_GE(Told("me").size(), 4u);  // Everyone twice.
  EXPECT_EQ(Told("me").back().state, MemberState::kLeft);
}

TEST_F(SwimLeaving, AloneIsDoneAtOnce) {
  Leave();
  EXPECT_EQ(Noticed(Kind::kLeaveDone).size(), 1u);
}

TEST_F(SwimLeaving, IsBoundedByATimeout) {
  SwimOptions options;
  options.gossip_interval = absl::Seconds(10);  // So slow that telling does not finish.
  Swim slow(options, SelfOf("me"), Random(1), kStart);
  SwimActions actions;
  slow.OnDatagram(now, "a:2", Encode(GossipDatagram{HeaderOf("a"), GossipOnly{}, {Alive("a")}}),
                  actions);
  slow.Leave(now, actions);
  absl::Time end = kStart + options.leave_timeout;
  while (slow.NextDeadline() <= end) {
    now = std::max(now, slow.NextDeadline());
    slow.OnTimer(now, actions);
  }
  bool done = false;
  for (const auto& notice : actions.notices) done = done || notice.kind == Kind::kLeaveDone;
  EXPECT_TRUE(done);
}

TEST_F(SwimLeaving, StillAnswersPings) {
  Know({"a"});
  Leave();
  HearBody("a", Ping{1, "me", NonceOf("me")});
  EXPECT_EQ(SentBodies<PingAck>().size(), 1u);
}

// ---- Numbers.

TEST(SwimOptions, EveryProfileIsValidAndScalesAsAWhole) {
  for (const char* name : {"lan-fast", "lan", "wan", "ci"}) {
    auto options = SwimProfile(name);
    ASSERT_TRUE(options.ok());
    EXPECT_TRUE(options->Validate().ok()) << name;
    EXPECT_TRUE(options->Scaled(0.1).Validate().ok()) << name;
  }
  EXPECT_EQ(CiProfile().probe_interval, absl::Seconds(1));
  EXPECT_EQ(CiProfile().push_pull_interval, absl::Seconds(25));
  EXPECT_EQ(CiProfile().gossip_fanout, LanFastProfile().gossip_fanout);
}

TEST(SwimOptions, RefusesNumbersThatCannotWorkTogether) {
  EXPECT_FALSE(SwimProfile("lam").ok());
  SwimOptions options;
  options.probe_timeout = options.probe_interval;
  EXPECT_FALSE(options.Validate().ok());
  options = SwimOptions();
  options.datagram_bytes_max = 9000;
  EXPECT_FALSE(options.Validate().ok());
}

TEST(SwimOptions, SelfIsChecked) {
  SwimSelf self = SwimFixture::SelfOf("me");
  EXPECT_TRUE(Swim::Check(SwimOptions(), self).ok());
  self.name = "no blanks";
  EXPECT_FALSE(Swim::Check(SwimOptions(), self).ok());
}

}  // namespace
}  // namespace troupe
