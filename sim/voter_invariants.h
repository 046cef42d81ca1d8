// VoterInvariants: what must hold of the register's voters at every moment (docs/protocol.md P2).
//
// - No voter's promise falls, nor the ballot of what it accepted, as long as its process lives.
// - One ballot carries one value.
// - What some node knows as chosen is held, or something newer, by a majority of each of its voter
//   sets: on the disk where there is one, because that is what a crash leaves. A voter that no
//   longer exists counts as holding it: what happens then is the fault budget's concern.
//
// A part of Invariants; looks only.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "troupe/membership/register_acceptor.h"
#include "troupe/sim/cluster.h"

namespace troupe::sim {

class VoterInvariants {
 public:
  using Problem = std::function<void(const std::string& checker, const std::string& what)>;
  VoterInvariants(Cluster& cluster, Problem problem)
      : cluster_(cluster), problem_(std::move(problem)) {}

  // Of all nodes that run.
  void Step();
  // `chosen` is the newest value that any node knows as such.
  void CheckHeld(const ClusterState& chosen);

 private:
  struct Seen {
    Id128 nonce;  // Of the process.
    uint64_t generation = 0;
    Ballot promised, accepted;
  };
  enum class Holds : uint8_t { kYes, kNo, kGone };

  void LookAt(const std::string& name);
  Holds Look(const VoterId& voter, const ClusterState& chosen);

  Cluster& cluster_;
  Problem problem_;
  std::map<std::string, Seen> seen_;    // By node.
  std::map<Ballot, ValuePtr> ballots_;  // The newest ones.
};

}  // namespace troupe::sim
