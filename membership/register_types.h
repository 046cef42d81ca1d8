// Register types: what the voters of the replicated register say to each other and store.
//
// Values. The register (CASPaxos) replicates one opaque value and reads only its header: version,
// format and voter sets. Rules: docs/protocol.md P2. Encoding: register.capnp.
// Source: Rystsov, "CASPaxos: Replicated State Machines without logs", arXiv 1802.07000, 2018.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// Ordered; higher wins. Names one value for ever: a proposer uses each of its ballots once, and the
// nonce is its process's. Round 0: none.
struct Ballot {
  uint64_t round = 0;
  std::string node;
  Id128 nonce;
  friend auto operator<=>(const Ballot&, const Ballot&) = default;
};
std::string Describe(const Ballot& ballot);

struct RegisterValue {
  uint64_t version = 0;
  uint32_t format = 1;
  std::vector<VoterId> voters;   // Sorted, never empty.
  std::vector<VoterId> pending;  // Sorted; empty when no voter change is under way.
  Bytes contents;                // The whole value, encoded; the fields above repeat its header.
  friend bool operator==(const RegisterValue&, const RegisterValue&) = default;
};
using ValuePtr =
    std::shared_ptr<const RegisterValue>;  // Null: none. Shared because values are big.

bool Same(const ValuePtr& a, const ValuePtr& b);

// Errors: as DecodeClusterHeader; what cannot be decoded further still has a header.
absl::StatusOr<ValuePtr> ValueOf(Bytes contents);
ValuePtr ValueOf(const ClusterState& state);
absl::StatusOr<ClusterState> StateOf(const RegisterValue& value);

// ---- Proposer to voter. `known` is the version of the newest value the proposer knows as chosen.

struct PrepareRequest {
  Ballot ballot;
  uint64_t known = 0;
  friend bool operator==(const PrepareRequest&, const PrepareRequest&) = default;
};
struct AcceptRequest {
  Ballot ballot;
  Ballot next;  // To be promised with the acceptance: the kept ballot.
  ValuePtr value;
  uint64_t known = 0;
};
struct ChosenNotice {  // Not answered.
  Ballot ballot;       // At which the value was chosen.
  ValuePtr value;      // Null to those who accepted it at this ballot: they have it.
};
using VoterRequest = std::variant<PrepareRequest, AcceptRequest, ChosenNotice>;

// ---- Voter to proposer. `ballot` is that of the request.

struct PromisedReply {
  Ballot ballot;
  Ballot accepted;  // Round 0 and no value: this voter is empty.
  ValuePtr value;
};
struct AcceptedReply {
  Ballot ballot;
};
struct RejectedReply {
  Ballot ballot;
  Ballot promised;
};
struct SupersededReply {  // Instead of a vote: the proposer is behind.
  Ballot ballot;
  ValuePtr chosen;
};
using VoterReply = std::variant<PromisedReply, AcceptedReply, RejectedReply, SupersededReply>;

}  // namespace troupe
