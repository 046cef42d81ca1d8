// Cluster codec: the register's value, its commands and its differences as bytes (cluster.capnp).
//
// Pure. What is decoded came from elsewhere: it is bounded, checked as a whole, and an error if it
// is not something we could have encoded. Bytes are one Cap'n Proto message in standard framing.
// Errors: InvalidArgument for what is malformed; Unimplemented for a newer format or command.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/cluster.capnp.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

using Bytes = std::vector<std::byte>;

Bytes Encode(const ClusterState& state);
absl::StatusOr<ClusterState> DecodeClusterState(std::span<const std::byte> bytes);

Bytes Encode(const Command& command);
absl::StatusOr<Command> DecodeCommand(std::span<const std::byte> bytes);

// The part of a value that every format shares: enough to vote on one that we cannot change.
struct ClusterHeader {
  uint32_t format = 0;
  uint64_t version = 0;
  uint64_t generation = 0;
  Id128 cluster;
  std::vector<VoterId> voters;
  std::vector<VoterId> pending;
};
absl::StatusOr<ClusterHeader> DecodeClusterHeader(std::span<const std::byte> bytes);

// The changed nodes and shards between two values of one cluster; `to` is the newer one.
Bytes Diff(const ClusterState& from, const ClusterState& to);

// `base` with the difference applied. FailedPrecondition when it was not made from just this value
// (the caller asks for the whole one).
absl::StatusOr<ClusterState> ApplyDiff(const ClusterState& base, std::span<const std::byte> diff);

// The same into and out of a larger message.
void Write(const ClusterState& state, wire::ClusterState::Builder out);
void Write(const Command& command, wire::Command::Builder out);
absl::StatusOr<ClusterState> Read(wire::ClusterState::Reader in);
absl::StatusOr<Command> Read(wire::Command::Reader in);

}  // namespace troupe
