// Invariants: what must hold of a simulated cluster at every moment, whatever has happened to it.
//
//   Invariants invariants(cluster, ledgers, problem);
//   cluster.OnStep([&] { invariants.Step(); });
//
// - One history of the map: a version that two nodes have is the same bytes; of two versions the
//   higher one is a descendant: boots, generations, epochs and isr_versions never fall, and what
//   they name does not change under them.
// - Who leaves an in-sync set smaller than min_isr is in ELR; who joins one was a learner.
// - No node's map and no copy's promise falls, and no copy's position.
// - At most one copy serves an epoch of a shard.
// - Every copy that could be elected (ISR and ELR of the newest map) holds all that was answered,
//   and all that a primary might have answered: its position is at or past every all-have-it mark.
// - No copy may read locally while a later epoch is served.
// - No stored state is of an open turn, or has one effect twice.
// - What voters promise and hold: voter_invariants.h.
// - After healing all shards serve with full replicas: Healed().
//
// Threads: the cluster's. It looks only, by accessors of Node; nothing depends on being watched.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/actors/shard_replica.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/ledger.h"
#include "troupe/sim/voter_invariants.h"

namespace troupe::sim {

class Invariants {
 public:
  enum class All : uint8_t { kNo, kYes };  // Or only ledgers with news.
  using Problem = Ledgers::Problem;
  // `ledgers` may be null: then copies are not compared with answers. All outlive it.
  Invariants(Cluster& cluster, Ledgers* ledgers, Problem problem)
      : cluster_(cluster),
        ledgers_(ledgers),
        problem_(std::move(problem)),
        voters_(cluster, problem_) {}

  void Step();
  // The same for all copies, though nothing has changed.
  void CheckCopies() { CompareCopies(All::kYes); }
  // A shard lost its last copies: what was answered is gone, and the map says so.
  bool lost() const { return lost_; }
  // False, and a problem, when the cluster is not whole within `limit`.
  bool Healed(absl::Duration limit);

 private:
  struct Copy {
    Epoch promised = 0;
    Version position;
  };
  // A copy as it is at this step.
  struct Present {
    const std::string* node;
    const ShardReplica* replica;
  };
  struct Mark {
    uint64_t lineage = 0;
    Version complete;
  };

  bool TakeMap(const std::string& node, const SharedMap& map);
  void CompareMaps(const ClusterState& older, const ClusterState& newer);
  void CompareShards(ShardId id, const ClusterState& older, const ClusterState& newer);
  void CompareSets(ShardId id, const ClusterState& older, const ClusterState& newer);
  void CheckLoss(ShardId id, const ClusterState& older);
  void LookAt(const std::string& node, const ShardReplica& replica);
  void NoteMark(const ShardReplica& replica);
  void CheckMarks(const std::vector<Present>& copies);
  void CheckReaders(const std::vector<Present>& copies);
  void CompareCopies(All all);
  void CheckCopy(const std::string& node, const ShardReplica& replica, const ClusterState& newest);

  Cluster& cluster_;
  Ledgers* ledgers_;
  Problem problem_;
  bool lost_ = false;
  std::map<uint64_t, SharedMap> maps_;                      // By version, of all that were seen.
  std::map<std::pair<std::string, Boot>, SharedMap> seen_;  // By node and run: its newest.
  std::map<std::pair<ShardId, Epoch>, CopyId> served_;
  std::map<std::pair<ShardId, CopyId>, Copy> copies_;
  std::map<ShardId, Mark> marks_;  // The highest of any primary.
  VoterInvariants voters_;
  uint64_t answered_ = 0;                     // When copies were last compared.
  std::map<std::string, uint64_t> compared_;  // By ledger: with how many entries.
};

}  // namespace troupe::sim
