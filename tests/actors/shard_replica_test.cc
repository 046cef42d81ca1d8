// ShardReplica: answers leave when they will survive, and only one copy gives them.
#include "troupe/actors/shard_replica.h"

#include "replica_cluster.h"

namespace troupe {
namespace {

constexpr absl::Duration kLease = absl::Milliseconds(250);

TEST(ShardReplica, ServesAfterFounding) {
  ReplicaCluster cluster(3);
  EXPECT_TRUE(cluster.Leader().replica->serving());
  EXPECT_FALSE(cluster.copies.at(cluster.Backup()).replica->serving());
}

TEST(ShardReplica, AnswersWhenAllInSyncCopiesHaveIt) {
  ReplicaCluster cluster(3);
  HoldToken token = cluster.Write(cluster.primary(), "a", "x", 1);
  EXPECT_FALSE(cluster.Released(cluster.primary(), token));
  cluster.Run();
  EXPECT_TRUE(cluster.Released(cluster.primary(), token));
  for (CopyId id : cluster.entry().isr) EXPECT_EQ(cluster.Words(id, "a"), "x");
}

TEST(ShardReplica, AloneAnswersAtOnce) {
  ReplicaCluster cluster(1, 1);
  HoldToken token = cluster.Write(1, "a", "x", 1);
  cluster.Run();
  EXPECT_TRUE(cluster.Released(1, token));
}

}  // namespace
}  // namespace troupe
