// Recovery: the first value of the register's next generation, when a majority of its voters is
// lost for good (docs/protocol.md P2.12).
//
// Pure. The newest value that survivors know becomes the first of a register with one voter, who
// founds it; nodes that did not survive have left, and with them their copies. One whose storage
// survived in the hands of its next process keeps its durable copies: it is FENCED until that
// registers. Versions leap, and epochs of durable shards, so that nothing of an older generation,
// whoever still writes it or has it on a disk, is ever taken for newer.
#pragma once

#include <span>
#include <string>

#include "troupe/membership/cluster_state.h"
#include "troupe/membership/register_acceptor.h"

namespace troupe {

// What one survivor has; its process is what `node` and `nonce` name.
struct Remains {
  std::string node;
  Id128 nonce;
  SharedMap map;           // Null: none.
  AcceptorState acceptor;  // May hold a value that was chosen and that nobody lived to tell of.
  Id128 storage;           // Of its data directory, whose lock it has; zero: none.
};

// The newest value that was, or may have been, chosen. Errors: NotFound when there is none,
// FailedPrecondition when they are of more than one cluster.
absl::StatusOr<ClusterState> NewestOf(std::span<const Remains> remains);

// `founder` is the process that will be the only voter; it becomes a member if it is none. It must
// be the only one that ever founds `generation`: two first values of one would be taken for one.
absl::StatusOr<ClusterState> NextGeneration(const ClusterState& newest, uint64_t generation,
                                            const Founder& founder,
                                            std::span<const Remains> survivors);

// Higher than all that these voters have promised.
Ballot BallotAbove(std::span<const Remains> remains, const NodeEntry& founder);

}  // namespace troupe
