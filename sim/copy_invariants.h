// CopyInvariants: what must hold of the copies of every shard at every moment (docs/protocol.md P3,
// P4, P6).
//
// - No copy's promise falls, nor its position; at most one copy serves an epoch.
// - Every copy that could be elected (ISR and ELR of the newest map) holds all that was answered,
//   and is at or past whatever a primary counts as complete.
// - An in-sync copy holds, up to its position, the very versions, states and records that its
//   primary holds.
// - No copy may read without asking while a later epoch is served.
// - No stored state is of an open turn, or has one effect twice.
//
// A part of Invariants; looks only.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "troupe/actors/shard_replica.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/ledger.h"

namespace troupe::sim {

class CopyInvariants {
 public:
  using Problem = Ledgers::Problem;
  // `ledgers` may be null: then copies are not compared with answers.
  CopyInvariants(Cluster& cluster, Ledgers* ledgers, Problem problem)
      : cluster_(cluster), ledgers_(ledgers), problem_(std::move(problem)) {}

  // `newest` map that any node has; null before the first. `news`: there is one since last time.
  void Step(const ClusterState* newest, bool news);
  // All copies with all answers, though nothing has changed.
  void CompareAll(const ClusterState& newest);

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

  void LookAt(const std::string& node, const ShardReplica& replica);
  void NoteMark(const ShardReplica& replica);
  void CheckMarks(const ClusterState& newest);
  void CheckReaders();
  void CheckTwins();
  void CompareTwins(const ShardReplica& primary, const ShardReplica& copy, const std::string& node);
  void Compare(const ClusterState& newest);
  void CheckAnswers(const std::string& node, const ShardReplica& replica,
                    const ClusterState& newest);

  Cluster& cluster_;
  Ledgers* ledgers_;
  Problem problem_;
  std::vector<Present> present_;
  std::map<std::pair<ShardId, Epoch>, CopyId> served_;
  std::map<std::pair<ShardId, CopyId>, Copy> copies_;
  std::map<ShardId, Mark> marks_;  // The highest of any primary.
  // Positions of primary and copy when they were last compared.
  std::map<std::pair<ShardId, CopyId>, std::pair<Version, Version>> twins_;
  uint64_t answered_ = 0;                     // When copies were last compared with answers.
  std::map<std::string, uint64_t> compared_;  // By ledger: with how many entries.
};

}  // namespace troupe::sim
