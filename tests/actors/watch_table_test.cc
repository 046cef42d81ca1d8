// WatchTable, WatchIndex: watches and their ends.
#include "troupe/actors/watch_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "troupe/actors/watch_index.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Why = Notice::Why;

const ActorId kX{7, "x"};
const ActorId kY{7, "y"};

Watched Of(ActorId target, uint64_t id, uint64_t since = 0, ShardId shard = 0) {
  Watched out;
  out.target = std::move(target);
  out.id = {0, id};
  out.since = since;
  out.shard = shard;
  return out;
}

// Nodes a (boot 1) and b (boot 2), two shards of lineage 1.
ClusterState Map() {
  ClusterState map;
  map.version = 1;
  map.nodes.resize(2);
  map.nodes[0].name = "a";
  map.nodes[0].boot = 1;
  map.nodes[1].name = "b";
  map.nodes[1].boot = 2;
  map.shards.resize(2);
  map.roles = {{kDefaultRole, 2, 1}};
  return map;
}

TEST(WatchTable, EndsAWatchOnceByItsId) {
  WatchTable table;
  ASSERT_TRUE(table.Watch(Of(kX, 1)).ok());
  EXPECT_FALSE(table.End({0, 2}, Why::kErased, "another watch"));
  EXPECT_FALSE(table.HasDue());
  EXPECT_TRUE(table.End({0, 1}, Why::kSuspended, "why"));
  EXPECT_FALSE(table.End({0, 1}, Why::kErased, "again"));
  ASSERT_NE(table.FindDue(), nullptr);
  EXPECT_EQ(*table.FindDue()->ended, Why::kSuspended);
  EXPECT_EQ(table.FindDue()->text, "why");
  table.Remove({0, 1});
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.snapshot(), nullptr);
}

TEST(WatchTable, OfANewWatchTheRemovalOfTheOldOneTakesNothing) {
  WatchTable table;
  ASSERT_TRUE(table.Watch(Of(kX, 1)).ok());
  EXPECT_TRUE(table.End({0, 1}, Why::kErased, ""));
  ASSERT_TRUE(table.Watch(Of(kX, 2)).ok());  // In the turn of the notice.
  table.Remove({0, 1});
  ASSERT_NE(table.Find(kX), nullptr);
  EXPECT_FALSE(table.HasDue());
}

TEST(WatchTable, SnapshotsStayAsTheyAre) {
  WatchTable table;
  ASSERT_TRUE(table.Watch(Of(kX, 1)).ok());
  const auto before = table.snapshot();
  ASSERT_TRUE(table.AddWatcher({kY, {0, 5}}).ok());
  EXPECT_TRUE(table.Unwatch(kX));
  EXPECT_FALSE(table.Unwatch(kX));
  EXPECT_EQ(before->watched.size(), 1u);
  EXPECT_TRUE(before->watchers.empty());
}

TEST(WatchTable, KeepsTheNewestWatchOfAWatcher) {
  WatchTable table;
  ASSERT_TRUE(table.AddWatcher({kY, {0, 1}}).ok());
  ASSERT_TRUE(table.AddWatcher({kY, {0, 2}}).ok());
  table.RemoveWatcher({kY, {0, 1}});  // Of the earlier one.
  EXPECT_THAT(table.TakeWatchers(), ElementsAre(Watcher{kY, {0, 2}}));
  EXPECT_TRUE(table.empty());
}

TEST(WatchTable, OfANodeEndsWhenThatRunOfItIsGone) {
  WatchTable table;
  ASSERT_TRUE(table.Watch(Of({0, "a"}, 1, 1)).ok());
  auto map = Map();
  EXPECT_FALSE(table.EndByMap(map));
  map.nodes[0].state = NodeState::kDraining;  // It is still there.
  EXPECT_FALSE(table.EndByMap(map));
  for (int way = 0; way < 4; ++way) {
    auto gone = Map();
    if (way == 0) gone.nodes[0].state = NodeState::kFenced;
    if (way == 1) gone.nodes[0].state = NodeState::kLeft;
    if (way == 2) gone.nodes[0].boot = 9;
    if (way == 3) gone.nodes.erase(gone.nodes.begin());
    WatchTable copy(table.snapshot());
    EXPECT_TRUE(copy.EndByMap(gone)) << way;
    EXPECT_FALSE(copy.EndByMap(gone)) << way;
    EXPECT_EQ(*copy.FindDue()->ended, Why::kNodeGone) << way;
  }
}

TEST(WatchTable, OfAnActorEndsWithItsShardOnlyOnceItKnowsThatItIsWatched) {
  WatchTable table;
  ASSERT_TRUE(table.Watch(Of(kX, 1)).ok());
  auto map = Map();
  map.shards[1].lineage = 3;
  EXPECT_FALSE(table.EndByMap(map));
  table.Registered({0, 1}, 1, 3);
  EXPECT_FALSE(table.EndByMap(map));
  map.shards[1].lineage = 2;  // An older map.
  EXPECT_FALSE(table.EndByMap(map));
  map.shards[1].lineage = 3;
  map.shards[1].state = ShardState::kNoPrimary;  // It may come back.
  EXPECT_FALSE(table.EndByMap(map));
  auto lost = map;
  lost.shards[1].state = ShardState::kLost;
  WatchTable copy(table.snapshot());
  EXPECT_TRUE(copy.EndByMap(lost));
  EXPECT_EQ(*copy.FindDue()->ended, Why::kStateLost);
  map.shards[1].lineage = 4;
  EXPECT_TRUE(table.EndByMap(map));
}

TEST(WatchTable, IsBounded) {
  WatchTable table;
  for (size_t i = 0; i < kWatchersMax; ++i) {
    ASSERT_TRUE(table.AddWatcher({{7, std::to_string(i)}, {0, i}}).ok());
  }
  EXPECT_FALSE(table.AddWatcher({kX, {0, 1}}).ok());
  for (size_t i = 0; i < kWatchedMax; ++i) {
    ASSERT_TRUE(table.Watch(Of({7, std::to_string(i)}, i)).ok()) << i;
  }
  EXPECT_FALSE(table.Watch(Of(kX, 1)).ok());
  EXPECT_LE(table.snapshot()->bytes(), kWatchesBytesMax);
  // Every end can still be said, though not in as many words.
  for (size_t i = 0; i < kWatchedMax; ++i) {
    EXPECT_TRUE(table.End({0, i}, Why::kErased, std::string(1000, 't')));
  }
  EXPECT_LE(table.snapshot()->bytes(), kWatchesBytesMax);
  EXPECT_LE(table.reserve().entries, kOutboxMax / 2);
}

TEST(WatchTable, KeepsRoomToTellAllThatItMayHaveTo) {
  WatchTable table;
  std::string key(90, 'k');
  for (size_t i = 0; table.AddWatcher({{7, key + std::to_string(i)}, {0, i}}).ok();) ++i;
  EXPECT_LT(table.reserve().bytes, kOutboxBytesMax * 3 / 4);
}

TEST(NoticeText, IsCutBetweenLetters) {
  EXPECT_EQ(NoticeText("short"), "short");
  std::string text;
  while (text.size() <= kNoticeTextMax) text += "ä";
  const auto cut = NoticeText(text);
  EXPECT_LE(cut.size(), kNoticeTextMax);
  EXPECT_EQ(cut.substr(cut.size() - 3), "…");
  EXPECT_EQ((cut.size() - 3) % 2, 0u);
}

TEST(WatchIndex, NamesWhoseWatchAMapEnds) {
  WatchTable of_x, of_y;
  ASSERT_TRUE(of_x.Watch(Of({0, "a"}, 1, 1)).ok());
  ASSERT_TRUE(of_y.Watch(Of(kX, 2, /*since=*/1, /*shard=*/1)).ok());
  ASSERT_TRUE(of_y.Watch(Of({7, "unknown"}, 3)).ok());
  WatchIndex index;
  index.Set(kX, of_x.snapshot());
  index.Set(kY, of_y.snapshot());
  auto map = Map();
  EXPECT_THAT(index.EndedBy(map), IsEmpty());
  map.shards[1].lineage = 2;
  EXPECT_THAT(index.EndedBy(map), ElementsAre(kY));
  map.nodes[0].boot = 3;
  EXPECT_THAT(index.EndedBy(map), ElementsAre(kX, kY));
  index.Set(kY, nullptr);
  EXPECT_THAT(index.EndedBy(map), ElementsAre(kX));
  index.Set(kX, of_x.snapshot());
  index.Set(kX, nullptr);
  EXPECT_TRUE(index.empty());
  EXPECT_THAT(index.EndedBy(map), IsEmpty());
}

}  // namespace
}  // namespace troupe
