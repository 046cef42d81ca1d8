// Copy sets and placement: the sorted sets a shard is made of, and who is preferred for what.
//
// Values and pure functions. Every choice is by rendezvous score, so that it is the same on every
// node, even over the shards, and moves little when nodes come and go (docs/protocol.md P2.9).
#pragma once

#include <cstddef>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

using CopySet = std::vector<CopyId>;  // Sorted, no duplicates.

bool Contains(const CopySet& set, CopyId copy);
void Insert(CopySet& set, CopyId copy);
void Erase(CopySet& set, CopyId copy);
CopySet Union(const CopySet& a, const CopySet& b);
CopySet Difference(const CopySet& a, const CopySet& b);
bool IsCopySet(const CopySet& set);  // Sorted, no duplicates, no zero.

// Which copies there are, by boot: a lookup into one state, which must outlive it unchanged.
class Copies {
 public:
  explicit Copies(const ClusterState& state);

  const NodeEntry* Node(CopyId copy) const;  // Null: no node's current boot, or the node has left.
  bool Exists(CopyId copy) const { return Node(copy) != nullptr; }
  bool IsUp(CopyId copy) const;
  bool IsAlive(CopyId copy) const;  // Up or draining: a process that serves.
  // How many types of the shard's group its node hosts; without any it is given no copy of it.
  size_t TypesAt(CopyId copy, ShardId shard) const;

  // The copy to elect among `candidates`: an UP one if there is any, else one that drains, so that
  // a shard is not without a primary only because its last node drains; of those one whose node
  // hosts most types of the group (P3.16), then by score. 0: none is alive.
  CopyId Elect(ShardId shard, const CopySet& candidates) const;

 private:
  struct At {
    const NodeEntry* node;
    std::vector<size_t> types;  // By group.
  };
  const ClusterState& state_;
  absl::flat_hash_map<CopyId, At> by_boot_;  // Only looked up, never iterated.
};

// Whether the shard would be without a copy that can serve if `copy` were gone: no other member of
// ISR and ELR is on a node that is alive.
bool IsLastCopy(const ShardEntry& shard, const Copies& copies, CopyId copy);

// Up to `count` of the UP nodes that host types of the shard's group, without a copy in `present`,
// best first: by score, and zones that hold no copy yet before the others.
std::vector<CopyId> ChooseHosts(const ClusterState& state, const Copies& copies, ShardId shard,
                                const CopySet& present, size_t count);

// How many nodes can have copies of the shards of a group now: UP, and hosting types of it.
size_t CountHosts(const ClusterState& state, const Copies& copies, size_t role);

// Appends a group with its shards, spread over the nodes that host types of it; where there are
// none they are LOST. A durable one raises `format`.
void AddRole(ClusterState& state, const std::string& name, bool durable);

// The voter id of a node: its storage where the acceptor is durable, else its process.
VoterId VoterOf(const std::string& node, const Id128& nonce, const Id128& storage);
VoterId VoterOf(const NodeEntry& node);

// The voters that should be: 1, 3 from three nodes, 5 from five, those that are UP voters now
// first (P2.6). Sorted. Equals `state.voters` when nothing can be improved.
std::vector<VoterId> WantedVoters(const ClusterState& state);

// No change of voters is under way, and none is due: as many vote as these nodes allow, and each is
// a current process. The loss of any one node then leaves a majority, where there are three.
bool VotersAreWhole(const ClusterState& state);

}  // namespace troupe
