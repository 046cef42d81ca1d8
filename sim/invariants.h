// Invariants: what must hold of a simulated cluster at every moment, whatever has happened to it.
//
//   Invariants invariants(cluster, ledgers, problem);
//   cluster.OnStep([&] { invariants.Step(); });
//
// - One history of the map: a version that two nodes have is the same bytes; of two versions the
//   higher one is a descendant: boots, generations, epochs and isr_versions never fall, and what
//   they name does not change under them.
// - Who leaves an in-sync set smaller than min_isr is in ELR; who joins one was a learner.
// - No node's map falls.
// - What voters promise and hold: voter_invariants.h. What copies hold, and who may read and
//   answer: copy_invariants.h.
// - After healing all shards serve with full replicas: Healed().
//
// Threads: the cluster's. It looks only, by accessors of Node; nothing depends on being watched.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "troupe/sim/cluster.h"
#include "troupe/sim/copy_invariants.h"
#include "troupe/sim/ledger.h"
#include "troupe/sim/voter_invariants.h"

namespace troupe::sim {

class Invariants {
 public:
  using Problem = Ledgers::Problem;
  // `ledgers` may be null: then copies are not compared with answers. All outlive it.
  Invariants(Cluster& cluster, Ledgers* ledgers, Problem problem)
      : cluster_(cluster),
        problem_(std::move(problem)),
        voters_(cluster, problem_),
        copies_(cluster, ledgers, problem_) {}

  void Step();
  // The same for all copies, though nothing has changed.
  void CheckCopies() {
    if (!maps_.empty()) copies_.CompareAll(*maps_.rbegin()->second);
  }
  // A shard lost its last copies: what was answered is gone, and the map says so.
  bool lost() const { return lost_; }
  // False, and a problem, when the cluster is not whole within `limit`.
  bool Healed(absl::Duration limit);

 private:
  bool TakeMap(const std::string& node, const SharedMap& map);
  void CompareMaps(const ClusterState& older, const ClusterState& newer);
  void CompareShards(ShardId id, const ClusterState& older, const ClusterState& newer);
  void CompareSets(ShardId id, const ClusterState& older, const ClusterState& newer);
  void CheckLoss(ShardId id, const ClusterState& older, const ClusterState& newer);

  Cluster& cluster_;
  Problem problem_;
  bool lost_ = false;
  std::map<uint64_t, SharedMap> maps_;                      // By version, of all that were seen.
  std::map<std::pair<std::string, Boot>, SharedMap> seen_;  // By node and run: its newest.
  VoterInvariants voters_;
  CopyInvariants copies_;
};

}  // namespace troupe::sim
