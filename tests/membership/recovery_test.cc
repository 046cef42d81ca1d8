// Recovery: the newest value among survivors, and the next generation made of it.
#include "troupe/membership/recovery.h"

#include "cluster_fixture.h"
#include "gmock/gmock.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Remains RemainsOf(const ClusterState& map, const std::string& node) {
  return {node,
          map.FindNode(node)->nonce,
          std::make_shared<const ClusterState>(map),
          {},
          map.FindNode(node)->storage};
}

Founder FounderOf(const ClusterState& map, const std::string& node) {
  const NodeEntry& entry = *map.FindNode(node);
  return {entry.name,  entry.nonce,   entry.addresses, entry.zone,
          entry.roles, entry.storage, Hosted()};
}

TEST(NextGeneration, KeepsTheSurvivorsCopiesAndOneVoter) {
  const ClusterState before = MakeCluster(3);
  const std::vector<Remains> survivors = {RemainsOf(before, "b")};
  auto next = NextGeneration(before, 2, FounderOf(before, "b"), survivors);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->generation, 2u);
  EXPECT_GT(next->version, before.version + (uint64_t{1} << 31)) << "no older one comes so far";
  EXPECT_THAT(next->voters, ElementsAre(VoterOf(*before.FindNode("b"))));
  EXPECT_TRUE(VotersAreWhole(*next));
  EXPECT_EQ(next->roles[0].min_isr, 1u);
  for (const ShardEntry& shard : next->shards) {
    EXPECT_THAT(shard.isr, ElementsAre(2));
    EXPECT_EQ(shard.primary, 2u);
  }
  EXPECT_TRUE(Validate(*next).ok()) << Validate(*next);
}

TEST(NextGeneration, LosesWhatNoSurvivorHolds) {
  const ClusterState before = MakeCluster(3, 12, 1);
  auto next = NextGeneration(before, 2, FounderOf(before, "a"), {{RemainsOf(before, "a")}});
  ASSERT_TRUE(next.ok()) << next.status();
  for (ShardId id = 0; id < 12; ++id) {
    const bool held = before.shards[id].primary == 1;
    EXPECT_EQ(next->shards[id].state, held ? ShardState::kActive : ShardState::kLost) << id;
  }
}

TEST(NextGeneration, MakesAFounderThatWasRestartedAMemberAnew) {
  const ClusterState before = MakeCluster(3);
  Founder founder = FounderOf(before, "c");
  founder.nonce = Id128{9, 9};
  Remains own = RemainsOf(before, "c");
  own.nonce = founder.nonce;
  auto next = NextGeneration(before, 2, founder, {{own}});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->FindNode("c")->nonce, founder.nonce);
  EXPECT_EQ(next->FindNode("c")->boot, next->version);
  EXPECT_TRUE(VotersAreWhole(*next));
  EXPECT_EQ(next->shards[0].state, ShardState::kLost) << "what it held went with its process";
}

TEST(NewestOf, TakesWhatMayHaveBeenChosenThoughNobodyLivesToTell) {
  const ClusterState known = MakeCluster(3);
  ClusterState accepted = known;
  Do(accepted, FenceOf(accepted, "c"));
  std::vector<Remains> remains = {RemainsOf(known, "a"), RemainsOf(known, "b")};
  remains[1].acceptor.accepted = {5, "c", Id128{3, 3}};
  remains[1].acceptor.value = ValueOf(accepted);
  remains[0].acceptor.accepted = {4, "c", Id128{3, 3}};
  remains[0].acceptor.value = ValueOf(known);
  remains[0].acceptor.promised = {7, "c", Id128{3, 3}};
  auto newest = NewestOf(remains);
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(*newest, accepted);
  EXPECT_EQ(BallotAbove(remains, *known.FindNode("a")).round, 8u);
}

TEST(NewestOf, IsTheNewestMapAndNeedsOne) {
  const ClusterState old = MakeCluster(3);
  ClusterState newer = old;
  Do(newer, FenceOf(newer, "c"));
  auto newest = NewestOf(std::vector<Remains>{RemainsOf(newer, "a"), RemainsOf(old, "b")});
  ASSERT_TRUE(newest.ok());
  EXPECT_EQ(newest->version, newer.version);
  EXPECT_TRUE(absl::IsNotFound(NewestOf(std::vector<Remains>{Remains{}}).status()));
}

}  // namespace
}  // namespace troupe
