// Register codec: the messages of the register as bytes (register.capnp), and a voter's state.
//
// Pure. What is decoded is bounded and checked; values inside are checked as far as their header
// goes. Errors: InvalidArgument; Unimplemented for a kind of message we do not know.
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/coordinator.h"
#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/register_types.h"

namespace troupe {

struct AddressedRequest {
  VoterId to;  // The receiver answers only if this is its own id.
  VoterRequest request;
  uint64_t generation = 0;  // Of the register that the proposer writes.
};
Bytes Encode(const AddressedRequest& message);
absl::StatusOr<AddressedRequest> DecodeVoterRequest(std::span<const std::byte> bytes);

struct AddressedReply {
  VoterId from;
  VoterReply reply;
};
Bytes Encode(const AddressedReply& message);
absl::StatusOr<AddressedReply> DecodeVoterReply(std::span<const std::byte> bytes);

// For the data directory. The state belongs to one voter id; under another it must not be used.
struct StoredAcceptor {
  VoterId voter;
  AcceptorState state;
};
Bytes Encode(const StoredAcceptor& stored);
absl::StatusOr<StoredAcceptor> DecodeStoredAcceptor(std::span<const std::byte> bytes);

// Commands to a coordinator and its answers. A command that cannot be decoded fails the batch.
Bytes Encode(const std::vector<CommandItem>& items);
absl::StatusOr<std::vector<CommandItem>> DecodeCommands(std::span<const std::byte> bytes);
Bytes Encode(const std::vector<CommandAnswer>& answers);
absl::StatusOr<std::vector<CommandAnswer>> DecodeAnswers(std::span<const std::byte> bytes);

}  // namespace troupe
