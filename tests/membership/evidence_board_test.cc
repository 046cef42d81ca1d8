// EvidenceBoard: what two observers and a refusal show, what one does not, and what is proof.
#include "troupe/membership/evidence_board.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace troupe {
namespace {

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

class EvidenceBoardTest : public testing::Test {
 protected:
  using Verdict = EvidenceBoard::Verdict;

  static ClusterState MapOf(const std::vector<std::pair<std::string, std::string>>& nodes) {
    std::vector<Founder> founders;
    uint64_t nonce = 0;
    for (const auto& [name, address] : nodes) {
      founders.push_back({name, Id128{1, ++nonce}, {address}, "", {}, {}, {}});
    }
    return Found(Id128{9, 9}, ClusterConfig{}, founders);
  }
  static ClusterState FiveHosts() {
    return MapOf({{"a", "10.0.0.1:1"},
                  {"b", "10.0.0.2:1"},
                  {"c", "10.0.0.3:1"},
                  {"d", "10.0.0.4:1"},
                  {"e", "10.0.0.5:1"}});
  }
  void Say(const std::string& observer, const std::string& subject, Sighting kind) {
    board_.Add(now_, map_, {observer, subject, map_.FindNode(subject)->boot, kind});
  }
  NodeEntry& EntryOf(const std::string& name) {
    return *std::find_if(map_.nodes.begin(), map_.nodes.end(),
                         [&](const NodeEntry& node) { return node.name == name; });
  }
  Verdict Judge(const std::string& node) { return board_.Judge(now_, map_, node, Sign()); }
  EvidenceBoard::LastSign Sign() {
    return [this](const std::string&) { return sign_; };
  }
  std::vector<Command> Cut() { return board_.TakeCut(now_, map_, Sign()); }

  absl::Time now_ = kStart;
  absl::Time sign_ = absl::InfinitePast();
  ClusterState map_ = FiveHosts();
  EvidenceBoard board_;
};

TEST_F(EvidenceBoardTest, OneObserverShowsNothing) {
  Say("a", "e", Sighting::kLost);
  Say("a", "e", Sighting::kRefused);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, TwoObserversAndARefusalShow) {
  Say("a", "e", Sighting::kLost);
  Say("b", "e", Sighting::kLost);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
  Say("b", "e", Sighting::kRefused);
  EXPECT_EQ(Judge("e"), Verdict::kShown);
}

TEST_F(EvidenceBoardTest, TheOnlyOtherOneSuffices) {
  map_ = MapOf({{"a", "10.0.0.1:1"}, {"b", "10.0.0.2:1"}});
  Say("a", "b", Sighting::kLost);
  Say("a", "b", Sighting::kRefused);
  EXPECT_EQ(Judge("b"), Verdict::kShown);
}

TEST_F(EvidenceBoardTest, ObserversOnOneHostCountAsOneUnlessAllAreThere) {
  map_ =
      MapOf({{"a", "10.0.0.1:1"}, {"b", "10.0.0.1:2"}, {"c", "10.0.0.3:1"}, {"d", "10.0.0.4:1"}});
  for (const auto* observer : {"a", "b"}) {
    Say(observer, "d", Sighting::kLost);
    Say(observer, "d", Sighting::kRefused);
  }
  EXPECT_EQ(Judge("d"), Verdict::kNothing);
  map_ =
      MapOf({{"a", "10.0.0.1:1"}, {"b", "10.0.0.1:2"}, {"c", "10.0.0.1:3"}, {"d", "10.0.0.1:4"}});
  EXPECT_EQ(Judge("d"), Verdict::kShown);
}

TEST_F(EvidenceBoardTest, ARefusalBeforeASignOfLifeShowsNothing) {
  for (const auto* observer : {"a", "b"}) {
    Say(observer, "e", Sighting::kLost);
    Say(observer, "e", Sighting::kRefused);
  }
  sign_ = now_ + absl::Milliseconds(1);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, OldSightingsDoNotAgree) {
  Say("a", "e", Sighting::kLost);
  now_ += absl::Seconds(10);
  Say("b", "e", Sighting::kLost);
  Say("b", "e", Sighting::kRefused);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, WhenMostAreLostAtOnceNobodyIs) {
  for (const auto* subject : {"c", "d", "e"}) {
    for (const auto* observer : {"a", "b"}) {
      Say(observer, subject, Sighting::kLost);
      Say(observer, subject, Sighting::kRefused);
    }
  }
  for (const auto* subject : {"c", "d", "e"}) EXPECT_EQ(Judge(subject), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, AnEndedProcessIsProofWhateverElseIsLost) {
  for (const auto* subject : {"c", "d", "e"}) Say("a", subject, Sighting::kExited);
  for (const auto* subject : {"c", "d", "e"}) EXPECT_EQ(Judge(subject), Verdict::kProven);
}

TEST_F(EvidenceBoardTest, RefusalsAreProofWhereTheyAreTrusted) {
  EvidenceOptions options;
  options.trust_refused = true;
  EvidenceBoard trusting(options);
  for (const auto* observer : {"a", "b"}) {
    for (auto kind : {Sighting::kLost, Sighting::kRefused}) {
      trusting.Add(now_, map_, {observer, "e", map_.FindNode("e")->boot, kind});
    }
  }
  EXPECT_EQ(trusting.Judge(now_, map_, "e", Sign()), Verdict::kProven);
}

TEST_F(EvidenceBoardTest, AnotherBootIsNotMeant) {
  board_.Add(now_, map_, {"a", "e", map_.FindNode("e")->boot + 1, Sighting::kExited});
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, ACutGathersWhatFailsTogether) {
  Say("a", "d", Sighting::kExited);
  EXPECT_TRUE(Cut().empty());
  now_ += absl::Milliseconds(5);
  Say("a", "e", Sighting::kDead);
  now_ = board_.wake();
  EXPECT_EQ(now_, kStart + absl::Milliseconds(10));
  const auto cut = Cut();
  ASSERT_EQ(cut.size(), 2);
  EXPECT_EQ(std::get<Fence>(cut[0]).node, "d");
  EXPECT_EQ(std::get<Fence>(cut[0]).grounds, Fence::Grounds::kProofOfDeath);
  EXPECT_EQ(std::get<Fence>(cut[1]).grounds, Fence::Grounds::kEvidence);
}

TEST_F(EvidenceBoardTest, WhatCompletesThePictureLateWaitsNoMore) {
  Say("a", "e", Sighting::kLost);
  now_ = board_.wake();
  EXPECT_TRUE(Cut().empty());
  now_ += absl::Milliseconds(30);
  Say("b", "e", Sighting::kLost);
  Say("b", "e", Sighting::kRefused);
  EXPECT_EQ(board_.wake(), now_);
  EXPECT_EQ(Cut().size(), 1);
}

TEST_F(EvidenceBoardTest, AFenceThatIsNotChosenIsRepeated) {
  Say("a", "d", Sighting::kExited);
  now_ = board_.wake();
  EXPECT_EQ(Cut().size(), 1);
  now_ = board_.wake();
  ASSERT_NE(now_, absl::InfiniteFuture());
  const auto again = Cut();
  ASSERT_EQ(again.size(), 1);
  map_ = Apply(map_, again[0])->state;
  board_.OnMap(map_);
  now_ = board_.wake();
  EXPECT_TRUE(Cut().empty());
}

// ---- What is not enough, one rule each.

TEST_F(EvidenceBoardTest, LinksLostByAllButRefusedToNobodyShowNothing) {
  for (const auto* observer : {"a", "b", "c", "d"}) Say(observer, "e", Sighting::kLost);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, RefusalsWithoutALostLinkShowNothing) {
  for (const auto* observer : {"a", "b", "c", "d"}) Say(observer, "e", Sighting::kRefused);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, OneObserverHoweverOftenItSaysSoShowsNothing) {
  for (int i = 0; i < 100; ++i) {
    Say("a", "e", Sighting::kLost);
    Say("a", "e", Sighting::kRefused);
    now_ += absl::Milliseconds(50);
    EXPECT_EQ(Judge("e"), Verdict::kNothing);
    EXPECT_TRUE(Cut().empty());
  }
}

TEST_F(EvidenceBoardTest, TwoRunsOfOneObserverCountAsOne) {
  Say("a", "e", Sighting::kLost);
  EntryOf("a").boot += 100;
  Say("a", "e", Sighting::kLost);
  Say("a", "e", Sighting::kRefused);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, AnObserverThatIsFencedOrUnknownOrTheSubjectItselfIsNotHeard) {
  EntryOf("b").state = NodeState::kFenced;
  for (const auto* observer : {"a", "b", "e", "stranger"}) {
    Say(observer, "e", Sighting::kLost);
    Say(observer, "e", Sighting::kRefused);
  }
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
}

TEST_F(EvidenceBoardTest, SuspicionAloneShowsNothing) {
  Say("a", "e", Sighting::kSuspected);
  EXPECT_EQ(Judge("e"), Verdict::kNothing);
  now_ += absl::Seconds(10);
  EXPECT_TRUE(Cut().empty());
}

TEST_F(EvidenceBoardTest, RefusalsAreNoProofWhereTheyAreNotTrusted) {
  for (const auto* observer : {"a", "b", "c", "d"}) {
    Say(observer, "e", Sighting::kLost);
    Say(observer, "e", Sighting::kRefused);
  }
  now_ = board_.wake();
  const auto cut = Cut();
  ASSERT_EQ(cut.size(), 1);
  EXPECT_EQ(std::get<Fence>(cut[0]).grounds, Fence::Grounds::kEvidence);
}

TEST_F(EvidenceBoardTest, SilenceIsNoProofOfDeath) {
  Say("a", "e", Sighting::kDead);
  now_ = board_.wake();
  const auto cut = Cut();
  ASSERT_EQ(cut.size(), 1);
  EXPECT_EQ(std::get<Fence>(cut[0]).grounds, Fence::Grounds::kEvidence);
}

TEST_F(EvidenceBoardTest, WhoIsHeardAfterAllIsNotFencedByWhatWasSaidBefore) {
  for (const auto* observer : {"a", "b"}) {
    Say(observer, "e", Sighting::kLost);
    Say(observer, "e", Sighting::kRefused);
  }
  Say("a", "d", Sighting::kDead);
  board_.Refute("e");
  board_.Refute("d");
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Cut().empty());
}

// ---- What waits for what.

class EvidenceHold : public EvidenceBoardTest {
 protected:
  void ShowByLinks(const std::string& subject) {
    for (const auto* observer : {"a", "b"}) {
      Say(observer, subject, Sighting::kLost);
      Say(observer, subject, Sighting::kRefused);
    }
  }
  // The cut when it comes, looked for as an owner does; when it came in took_.
  std::vector<std::string> Await(absl::Duration limit) {
    const absl::Time begun = now_;
    while (now_ < begun + limit) {
      now_ = std::max(now_, std::min(board_.wake(), begun + limit));
      std::vector<std::string> names;
      for (const Command& command : Cut()) names.push_back(std::get<Fence>(command).node);
      took_ = now_ - begun;
      if (!names.empty()) return names;
    }
    return {};
  }
  using Nodes = std::vector<std::string>;
  absl::Duration took_;
};

TEST_F(EvidenceHold, ACutWaitsForOneThatIsHalfShownAndTakesItAlong) {
  ShowByLinks("e");
  now_ += absl::Milliseconds(5);
  Say("a", "d", Sighting::kLost);
  now_ += absl::Milliseconds(30);
  EXPECT_TRUE(Cut().empty());
  Say("b", "d", Sighting::kLost);
  Say("b", "d", Sighting::kRefused);
  EXPECT_EQ(Await(absl::Seconds(1)), (Nodes{"d", "e"}));
  EXPECT_LE(took_, absl::Milliseconds(10));
}

TEST_F(EvidenceHold, ALinkThatBreaksElsewhereDelaysACutByOneDialAtMost) {
  Say("c", "d", Sighting::kLost);
  ShowByLinks("e");
  EXPECT_EQ(Await(absl::Seconds(1)), Nodes{"e"});
  EXPECT_LE(took_, absl::Milliseconds(110));
}

TEST_F(EvidenceHold, ALinkThatFlapsIsNoCutAndSoonDelaysNone) {
  for (int i = 0; i < 50; ++i) {
    Say("c", "d", Sighting::kLost);
    Say("c", "d", Sighting::kRefused);
    now_ += absl::Milliseconds(100);
    EXPECT_TRUE(Cut().empty());
  }
  ShowByLinks("e");
  EXPECT_EQ(Await(absl::Seconds(1)), Nodes{"e"});
  EXPECT_LE(took_, absl::Milliseconds(10));
}

TEST_F(EvidenceHold, WhoWasHeardAfterItsLinkBrokeDelaysNothing) {
  Say("c", "d", Sighting::kLost);
  ShowByLinks("e");
  auto d_speaks = [this](const std::string& node) {
    return node == "d" ? now_ : absl::InfinitePast();
  };
  now_ += absl::Milliseconds(10);
  EXPECT_EQ(board_.TakeCut(now_, map_, d_speaks).size(), 1);
}

TEST_F(EvidenceHold, ASilentRackIsOneCut) {
  for (const auto* subject : {"c", "d", "e"}) Say("a", subject, Sighting::kSuspected);
  now_ += absl::Milliseconds(700);
  Say("a", "c", Sighting::kDead);
  now_ += absl::Milliseconds(200);
  EXPECT_TRUE(Cut().empty());
  Say("a", "e", Sighting::kDead);
  now_ += absl::Milliseconds(200);
  EXPECT_TRUE(Cut().empty());
  Say("a", "d", Sighting::kDead);
  EXPECT_EQ(Await(absl::Seconds(1)), (Nodes{"c", "d", "e"}));
}

TEST_F(EvidenceHold, ASuspectDelaysTheDeadByOneLeastSuspicionAtMost) {
  Say("a", "d", Sighting::kSuspected);
  Say("a", "e", Sighting::kDead);
  EXPECT_EQ(Await(absl::Seconds(2)), Nodes{"e"});
  EXPECT_GE(took_, absl::Milliseconds(500));
  EXPECT_LE(took_, absl::Milliseconds(620));
}

TEST_F(EvidenceHold, ASuspectThatRefutesDelaysNothing) {
  Say("a", "d", Sighting::kSuspected);
  Say("a", "e", Sighting::kDead);
  now_ = board_.wake();
  EXPECT_TRUE(Cut().empty());
  board_.Refute("d");
  EXPECT_EQ(Await(absl::Seconds(1)), Nodes{"e"});
  EXPECT_LE(took_, absl::Milliseconds(10));
}

TEST_F(EvidenceHold, ASuspectDoesNotDelayWhatLinksHaveShown) {
  Say("a", "d", Sighting::kSuspected);
  ShowByLinks("e");
  EXPECT_EQ(Await(absl::Seconds(1)), Nodes{"e"});
  EXPECT_LE(took_, absl::Milliseconds(10));
}

TEST_F(EvidenceHold, ProofWaitsForNobody) {
  Say("a", "c", Sighting::kSuspected);
  Say("a", "d", Sighting::kLost);
  Say("a", "e", Sighting::kExited);
  EXPECT_EQ(Await(absl::Seconds(1)), Nodes{"e"});
  EXPECT_LE(took_, absl::Milliseconds(10));
}

}  // namespace
}  // namespace troupe
