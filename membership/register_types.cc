#include "troupe/membership/register_types.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {

std::string Describe(const Ballot& ballot) {
  return absl::StrCat(ballot.round, "/", ballot.node, "/", ballot.nonce.ToString());
}

bool Same(const ValuePtr& a, const ValuePtr& b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && *a == *b;
}

absl::StatusOr<ValuePtr> ValueOf(Bytes contents) {
  absl::StatusOr<ClusterHeader> header = DecodeClusterHeader(contents);
  if (!header.ok()) return header.status();
  auto value = std::make_shared<RegisterValue>();
  value->version = header->version;
  value->format = header->format;
  value->voters = std::move(header->voters);
  value->pending = std::move(header->pending);
  value->contents = std::move(contents);
  return ValuePtr(std::move(value));
}

ValuePtr ValueOf(const ClusterState& state) {
  auto value = std::make_shared<RegisterValue>();
  value->version = state.version;
  value->format = state.format;
  value->voters = state.voters;
  value->pending = state.pending;
  value->contents = Encode(state);
  return value;
}

absl::StatusOr<ClusterState> StateOf(const RegisterValue& value) {
  return DecodeClusterState(value.contents);
}

}  // namespace troupe
