// What the register reads from disks and peers: a voter's file, requests and replies, commands, the
// value itself and its differences. A value that decodes takes any command that decodes.
#include "fuzz.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/register_codec.h"

namespace troupe {
namespace {

void TryState(std::span<const std::byte> bytes, ClusterState& state) {
  DecodeClusterHeader(bytes).IgnoreError();
  if (auto decoded = DecodeClusterState(bytes); decoded.ok()) {
    const auto again = DecodeClusterState(Encode(*decoded));
    fuzz::Require(again.ok() && *again == *decoded, "a value survives encoding");
    state = *std::move(decoded);
  } else if (auto next = ApplyDiff(state, bytes); next.ok()) {
    state = *std::move(next);
  }
}

void TryCommands(std::span<const std::byte> bytes, ClusterState& state) {
  if (auto command = DecodeCommand(bytes); command.ok()) {
    if (auto next = Apply(state, *command); next.ok()) state = std::move(next->state);
  }
  if (auto items = DecodeCommands(bytes); items.ok()) {
    const auto again = DecodeCommands(Encode(*items));
    fuzz::Require(again.ok() && again->size() == items->size(), "commands survive encoding");
  }
  DecodeAnswers(bytes).IgnoreError();
}

void TryVoter(std::span<const std::byte> bytes, RegisterAcceptor& voter) {
  if (auto request = DecodeVoterRequest(bytes); request.ok()) voter.Step(request->request);
  if (auto stored = DecodeStoredAcceptor(bytes); stored.ok()) {
    voter = RegisterAcceptor(stored->state);
    fuzz::Require(DecodeStoredAcceptor(Encode(*stored)).ok(), "a voter's file survives encoding");
  }
  DecodeVoterReply(bytes).IgnoreError();
}

}  // namespace
}  // namespace troupe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace troupe;
  auto input = fuzz::AsBytes(data, size);
  ClusterState state;
  RegisterAcceptor voter;
  while (!input.empty()) {
    const auto piece = fuzz::TakePiece(input);
    TryState(piece, state);
    TryCommands(piece, state);
    TryVoter(piece, voter);
  }
  return 0;
}
