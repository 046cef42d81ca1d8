// Swim, listening: what a rumour about another member changes.
#include "swim_fixture.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SwimRumour : public SwimFixture {};

TEST_F(SwimRumour, OfAnUnknownLivingMemberAddsItAndIsToldOnce) {
  Hear({Alive("a")});
  EXPECT_TRUE(Knows("a"));
  EXPECT_THAT(Noticed(Kind::kJoined), ElementsAre("a"));
  Hear({Alive("a")});
  Hear({Alive("a")});
  EXPECT_THAT(Noticed(Kind::kJoined), ElementsAre("a"));
}

TEST_F(SwimRumour, RepeatedIsNotPassedOnAgain) {
  answering = {"*"};
  Know({"a", "b"});
  Run(absl::Seconds(1));
  Forget();
  Hear({Alive("a")});
  Run(absl::Seconds(1));
  EXPECT_THAT(Told("a"), IsEmpty());
}

TEST_F(SwimRumour, OfAHigherIncarnationClearsSuspicionAndItsTimer) {
  answering = {"*"};
  Know({"a", "b", "c"});
  Hear({Suspect("a", 0, "b")});
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Hear({Alive("a", 1)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kRefuted), ElementsAre("a"));
  Run(absl::Seconds(20));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kDied), IsEmpty());
}

TEST_F(SwimRumour, OfTheSameIncarnationDoesNotClearSuspicion) {
  Know({"a", "b"});
  Hear({Suspect("a", 3, "b")});
  Hear({Alive("a", 3)});
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
}

TEST_F(SwimRumour, OlderThanWhatIsKnownIsIgnored) {
  Hear({Alive("a", 5)});
  Member older = Alive("a", 4);
  older.rpc_address = "elsewhere:1";
  Hear({older});
  EXPECT_EQ(swim.Find("a")->rpc_address, "a:1");
  EXPECT_EQ(swim.Find("a")->incarnation, 5u);
}

TEST_F(SwimRumour, OfNewMetadataTellsUpdateOnly) {
  Know({"a"});
  Member changed = Alive("a", 1);
  changed.metadata = "zone=b";
  Hear({changed});
  EXPECT_THAT(Noticed(Kind::kUpdated), ElementsAre("a"));
  EXPECT_EQ(notices.size(), 1u);
  EXPECT_EQ(swim.Find("a")->metadata, "zone=b");
}

TEST_F(SwimRumour, OfAHigherIncarnationAloneTellsNothingButIsPassedOn) {
  Know({"a", "b"});
  Hear({Alive("a", 1)});
  EXPECT_THAT(notices, IsEmpty());
  Run(absl::Milliseconds(100));
  ASSERT_FALSE(Told("a").empty());
  EXPECT_EQ(Told("a").front().incarnation, 1u);
}

TEST_F(SwimRumour, OfAnotherLivingProcessOfTheNameIsAConflictSaidOnceAndOverwritesNothing) {
  Know({"a"});
  Member rival = Alive("a", 9, 0, 1);
  rival.rpc_address = "rival:1";
  Hear({rival});
  Hear({rival});
  EXPECT_THAT(Noticed(Kind::kConflict), ElementsAre("a"));
  EXPECT_EQ(swim.Find("a")->id.nonce, NonceOf("a"));
  EXPECT_EQ(swim.Find("a")->rpc_address, "a:1");
}

TEST_F(SwimRumour, OfAnotherProcessIsTakenOnceTheOldOneIsDeadOrLeft) {
  Know({"a", "b"});
  Hear({Dead("a", 0, "b"), Left("b", 0)});
  Hear({Alive("a", 0, 0, 1), Alive("b", 0, 0, 1)});
  EXPECT_THAT(Noticed(Kind::kReplaced), ElementsAre("a", "b"));
  EXPECT_EQ(swim.Find("a")->id.nonce, NonceOf("a", 1));
  EXPECT_EQ(StateOf("b"), MemberState::kAlive);
}

TEST_F(SwimRumour, OfAHigherBootReplacesTheOldProcessInAnyState) {
  for (const char* name : {"alive", "suspect", "dead", "left"}) Hear({Alive(name, 7, 3)});
  Hear({Suspect("suspect", 7, "x", 3), Dead("dead", 7, "x", 3), Left("left", 7, 3)});
  for (const char* name : {"alive", "suspect", "dead", "left"}) {
    Hear({Alive(name, 0, 4, 1)});
    EXPECT_EQ(StateOf(name), MemberState::kAlive) << name;
    EXPECT_EQ(swim.Find(name)->id.boot, 4u) << name;
  }
  EXPECT_EQ(Noticed(Kind::kReplaced).size(), 4u);
}

TEST_F(SwimRumour, OfALowerBootChangesNothingWhateverItsIncarnation) {
  Hear({Alive("a", 0, 9, 1)});
  Forget();
  Hear({Alive("a", 100, 3), Suspect("a", 100, "b", 3), Dead("a", 100, "b", 3)});
  EXPECT_THAT(notices, IsEmpty());
  EXPECT_EQ(swim.Find("a")->id.boot, 9u);
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimRumour, ThatAProcessWasRegisteredIsAnUpdateAndClearsSuspicion) {
  Know({"a", "b"});
  Hear({Suspect("a", 6, "b")});
  Hear({Alive("a", 0, 12)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_EQ(swim.Find("a")->id.boot, 12u);
  EXPECT_THAT(Noticed(Kind::kJoined), IsEmpty());
}

// Mass restart: what is left of the accusations against the old run must not hide the new one.
TEST_F(SwimRumour, OfADeadRunDoesNotHideTheNextOne) {
  Hear({Alive("a", 100, 3)});
  Hear({Dead("a", 100, "b", 3)});
  Hear({Alive("a", 1, 0, 1)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  Hear({Dead("a", 100, "c", 3), Alive("a", 100, 3)});  // Late gossip about the old run.
  EXPECT_EQ(swim.Find("a")->id.nonce, NonceOf("a", 1));
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimRumour, ThatAnOldRunDiedHeardFirstFromOthersKeepsItFromComingBack) {
  Hear({Alive("a", 1, 0, 1)});
  Hear({Dead("a", 100, "c", 3)});
  Hear({Alive("a", 100, 3)});
  EXPECT_EQ(swim.Find("a")->id.nonce, NonceOf("a", 1));
}

TEST_F(SwimRumour, SuspectOfAnUnknownMemberIsIgnored) {
  Hear({Suspect("ghost", 0, "b"), Dead("ghost", 0, "b"), Left("ghost", 0)});
  EXPECT_FALSE(Knows("ghost"));
  EXPECT_THAT(notices, IsEmpty());
}

TEST_F(SwimRumour, DeadOfAnUnknownMemberIsIgnored) {
  Hear({Dead("a", 3, "x"), Left("b", 3)});
  EXPECT_FALSE(Knows("a"));
  EXPECT_FALSE(Knows("b"));
  EXPECT_TRUE(notices.empty());
}

TEST_F(SwimRumour, OfAMemberAtTheAddressOfADeadOneIsTakenAndTheOldOneMayReturnElsewhere) {
  Know({"a"});
  Hear({Dead("a", 0, "x")});
  Member b = Alive("b");
  b.rpc_address = "a:1";
  b.gossip_address = "a:2";
  Hear({b});
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
  EXPECT_EQ(StateOf("b"), MemberState::kAlive);
  Member a = Alive("a", 0, 7, 1);
  a.gossip_address = "c:2";
  Hear({a});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_EQ(swim.Find("a")->gossip_address, "c:2");
  EXPECT_EQ(swim.Find("b")->gossip_address, "a:2");
}

TEST_F(SwimRumour, StaleSuspectIsIgnored) {
  Hear({Alive("a", 5)});
  Hear({Suspect("a", 4, "b")});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
}

TEST_F(SwimRumour, DeadOfAnOldIncarnationOrTwiceIsIgnored) {
  Hear({Alive("a", 5)});
  Hear({Dead("a", 4, "b")});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  Hear({Dead("a", 5, "b"), Dead("a", 5, "c"), Dead("a", 6, "d")});
  EXPECT_THAT(Noticed(Kind::kDied), ElementsAre("a"));
}

TEST_F(SwimRumour, DeadSaidByTheMemberItselfIsLeft) {
  Know({"a"});
  Hear({Dead("a", 0, "a")});
  EXPECT_EQ(StateOf("a"), MemberState::kLeft);
  EXPECT_THAT(Noticed(Kind::kLeft), ElementsAre("a"));
  EXPECT_THAT(Noticed(Kind::kDied), IsEmpty());
}

TEST_F(SwimRumour, AliveReplayedAfterDeathDoesNotResurrect) {
  Hear({Alive("a", 5)});
  Hear({Dead("a", 5, "b")});
  Hear({Alive("a", 5)});
  EXPECT_EQ(StateOf("a"), MemberState::kDead);
  Hear({Alive("a", 6)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_THAT(Noticed(Kind::kJoined), ElementsAre("a", "a"));
}

// The accusation proves that somebody saw the higher incarnation; the alive rumour of it is old
// news.
TEST_F(SwimRumour, AccusationOfAHigherIncarnationRaisesWhatIsStored) {
  Hear({Alive("a", 1), Alive("b", 1)});
  Hear({Suspect("a", 1, "x")});
  Hear({Suspect("a", 4, "y")});
  Hear({Alive("a", 4)});
  EXPECT_EQ(StateOf("a"), MemberState::kSuspect);
  Hear({Dead("b", 4, "x")});
  Hear({Alive("b", 3), Alive("b", 4)});
  EXPECT_EQ(StateOf("b"), MemberState::kDead);
}

TEST_F(SwimRumour, LeaversOwnLateAliveDoesNotRejoinIt) {
  Hear({Alive("a", 2)});
  Hear({Left("a", 2)});
  Hear({Alive("a", 2), Suspect("a", 2, "b"), Dead("a", 2, "b")});
  EXPECT_EQ(StateOf("a"), MemberState::kLeft);
  EXPECT_THAT(Noticed(Kind::kDied), IsEmpty());
}

TEST_F(SwimRumour, DeadIsUpgradedToLeftButNotBack) {
  Know({"a"});
  Hear({Dead("a", 0, "b")});
  Hear({Left("a", 0)});
  EXPECT_EQ(StateOf("a"), MemberState::kLeft);
}

// Otherwise one damaged number could not be outbid and would evict a member for ever.
TEST_F(SwimRumour, LeapingIncarnationIsNotBelieved) {
  Know({"a"});
  Hear({Suspect("a", UINT64_MAX, "b"), Dead("a", UINT64_MAX, "b"), Alive("a", uint64_t{1} << 40)});
  EXPECT_EQ(StateOf("a"), MemberState::kAlive);
  EXPECT_EQ(swim.Find("a")->incarnation, 0u);
  EXPECT_EQ(swim.counters().implausible, 3u);
}

TEST_F(SwimRumour, NewMapVersionIsToldAndPassedOnButNeverFalls) {
  Know({"a", "b"});
  Member newer = Alive("a");
  newer.map_version = 8;
  Hear({newer});
  EXPECT_THAT(Noticed(Kind::kMapVersion), ElementsAre("a"));
  Hear({Alive("a")});
  EXPECT_EQ(swim.Find("a")->map_version, 8u);
  Run(absl::Milliseconds(100));
  ASSERT_FALSE(Told("a").empty());
  EXPECT_EQ(Told("a").front().map_version, 8u);
}

TEST_F(SwimRumour, MapVersionInAHeaderIsSeenWithoutAnyRumour) {
  Know({"a"});
  GossipHeader header = HeaderOf("a");
  header.map_version = 5;
  Deliver({header, GossipOnly{}, {}});
  EXPECT_THAT(Noticed(Kind::kMapVersion), ElementsAre("a"));
  EXPECT_EQ(swim.Find("a")->map_version, 5u);
}

TEST_F(SwimRumour, MembersAreSortedByNameWithOurselvesAmongThem) {
  Know({"z", "a", "n"});
  std::vector<std::string> names;
  for (const Member& member : swim.Members()) names.push_back(member.id.name);
  EXPECT_THAT(names, ElementsAre("a", "me", "n", "z"));
}

}  // namespace
}  // namespace troupe
