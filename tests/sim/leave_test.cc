// Nodes that are told to end, on whole clusters (docs/protocol.md P2.13).
#include <string>
#include <utility>
#include <vector>

#include "cluster_fixture.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

class LeaveTest : public ClusterFixture {
 protected:
  void Fill() {
    for (int i = 0; i < 20; ++i) Add("k" + std::to_string(i), static_cast<uint64_t>(i) + 1);
  }
  void ExpectAllThere() {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(Get("k" + std::to_string(i)), static_cast<uint64_t>(i) + 1) << i;
    }
  }
  std::string NoticeOf(const std::string& node) {
    return cluster_->node(node).membership().notice();
  }
  bool Ends(const std::string& node, absl::Duration limit) {
    return cluster_->RunUntil([&] { return !cluster_->has(node); }, limit);
  }
};

TEST_P(LeaveTest, DoesNotEndTheLastCopyAtItsLimit) {
  auto options = Options();
  options.config.replicas = 1;
  Start({"a", "b", "c"}, options);
  Fill();
  cluster_->Leave("b", absl::ZeroDuration());
  EXPECT_TRUE(Ends("b", absl::Seconds(20))) << cluster_->Describe();
  ExpectAllThere();
}

// It has all that is left, and no quorum could say so.
TEST_P(LeaveTest, WaitsForAQuorumHoweverLong) {
  Start({"a", "b", "c"});
  Fill();
  const std::string holder = "c";
  for (const auto* other : {"a", "b"}) cluster_->Kill(other, SimDiskAfter::kKeep);
  cluster_->Run(absl::Seconds(3));
  cluster_->Leave(holder, absl::Seconds(1));
  EXPECT_FALSE(Ends(holder, absl::Seconds(20)));
  EXPECT_THAT(NoticeOf(holder), HasSubstr("told to end, but it may not leave yet"));
  cluster_->Restart("a");
  cluster_->Restart("b");
  EXPECT_TRUE(Ends(holder, absl::Seconds(20))) << cluster_->Describe();
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  ExpectAllThere();
}

TEST_P(LeaveTest, OfANodeThatIsCutOffWaitsUntilItHearsThatItMayEnd) {
  Start({"a", "b", "c", "d"});
  Fill();
  cluster_->Isolate("c");
  cluster_->Run(absl::Seconds(4));
  cluster_->Leave("c", absl::Seconds(1));
  EXPECT_FALSE(Ends("c", absl::Seconds(10)));
  cluster_->Heal();
  EXPECT_TRUE(Ends("c", absl::Seconds(20))) << cluster_->Describe();
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  ExpectAllThere();
}

TEST_P(LeaveTest, OfTheOnlyVoterHandsItsVoteOver) {
  Start({"a", "b"});
  Fill();
  const std::string voter = cluster_->NewestMap()->voters.front().node;
  const std::string other = voter == "a" ? "b" : "a";
  cluster_->Leave(voter);
  EXPECT_TRUE(Ends(voter, absl::Seconds(3))) << cluster_->Describe();
  cluster_->Run(absl::Seconds(1));
  const auto map = cluster_->NewestMap();
  ASSERT_EQ(map->voters.size(), 1u);
  EXPECT_EQ(map->voters.front().node, other);
  EXPECT_EQ(map->FindNode(voter)->state, NodeState::kLeft);
  ExpectAllThere();
}

TEST_P(LeaveTest, OfAllAtOnceEndsAllAtOnce) {
  Start({"a", "b", "c"});
  Fill();
  Random random(GetParam());
  for (const auto* name : {"a", "b", "c"}) {
    if (cluster_->has(name)) cluster_->Leave(name);
    cluster_->Run(absl::Milliseconds(random.Below(40)));
  }
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->names().empty(); }, absl::Seconds(6)))
      << cluster_->Describe();
}

TEST_P(LeaveTest, IsNotFeltByCallersWhoeverLeads) {
  Start({"a", "b", "c", "d"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Leave(cluster_->Coordinator());
  cluster_->Run(absl::Seconds(4));
  EXPECT_EQ(cluster_->names().size(), 3u) << cluster_->Describe();
  StopAndCheck(traffic);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LeaveTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
