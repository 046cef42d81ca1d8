// Codec parts: what the codecs of membership/ share for lists, texts, ids and whole messages.
//
// Internal to membership/*.cc. Parse runs a function on a message of untrusted bytes and turns
// whatever Cap'n Proto finds wrong into InvalidArgument.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "troupe/membership/cluster.capnp.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/cluster_state.h"
#include "troupe/membership/limits.h"
#include "troupe/rpc/words.h"

namespace troupe::codec {

inline kj::ArrayPtr<const kj::byte> AsKj(const Bytes& bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

inline capnp::Text::Reader AsText(const std::string& text) { return {text.data(), text.size()}; }

void WriteId(const Id128& id, wire::Id128::Builder out);
Id128 ReadId(wire::Id128::Reader in);

// Errors: InvalidArgument when there are more than `count_max` or one is longer than kTextBytesMax.
absl::StatusOr<std::string> ReadText(capnp::Text::Reader in);
absl::StatusOr<std::vector<std::string>> ReadTexts(capnp::List<capnp::Text>::Reader in,
                                                   size_t count_max);
void WriteTexts(const std::vector<std::string>& texts, capnp::List<capnp::Text>::Builder out);

absl::StatusOr<std::vector<uint64_t>> ReadNumbers(capnp::List<uint64_t>::Reader in,
                                                  size_t count_max, const char* what = "copies");
void WriteNumbers(const std::vector<uint64_t>& numbers, capnp::List<uint64_t>::Builder out);

absl::StatusOr<VoterId> ReadVoter(wire::Voter::Reader in);
void WriteVoter(const VoterId& voter, wire::Voter::Builder out);
absl::StatusOr<std::vector<VoterId>> ReadVoters(capnp::List<wire::Voter>::Reader in);
void WriteVoters(const std::vector<VoterId>& voters, capnp::List<wire::Voter>::Builder out);

absl::StatusOr<std::vector<HostedType>> ReadTypes(capnp::List<wire::HostedType>::Reader in);
void WriteTypes(const std::vector<HostedType>& types, capnp::List<wire::HostedType>::Builder out);

absl::StatusOr<NodeEntry> ReadNode(wire::Node::Reader in);
void WriteNode(const NodeEntry& node, wire::Node::Builder out);
absl::StatusOr<ShardEntry> ReadShard(wire::Shard::Reader in);
void WriteShard(const ShardEntry& shard, wire::Shard::Builder out);
// Of a value of before roles: all shards are of one.
std::vector<RoleEntry> RolesOfBefore(wire::ClusterConfig::Reader in, size_t shards);
absl::StatusOr<std::vector<RoleEntry>> ReadRoles(capnp::List<wire::Role>::Reader in);
void WriteRoles(const std::vector<RoleEntry>& roles, capnp::List<wire::Role>::Builder out);
ClusterConfig ReadConfig(wire::ClusterConfig::Reader in);
void WriteConfig(const ClusterState& state, wire::ClusterConfig::Builder out);

absl::Status TooMany(const char* what, size_t count, size_t count_max);

Bytes ToBytes(capnp::MessageBuilder& message);

template <typename Root, typename Function>
auto Parse(std::span<const std::byte> bytes, Function&& read)
    -> decltype(read(std::declval<typename Root::Reader>())) {
  if (bytes.size() % sizeof(capnp::word) != 0 || bytes.size() > kValueBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("expected whole words of at most ",
                                                   kValueBytesMax, " bytes, got ", bytes.size()));
  }
  const auto words = CopyWords(bytes);
  std::optional<decltype(read(std::declval<typename Root::Reader>()))> result;
  auto problem = kj::runCatchingExceptions([&] {
    capnp::ReaderOptions options;
    options.nestingLimit = 16;
    capnp::FlatArrayMessageReader message(words, options);
    result = read(message.getRoot<Root>());
  });
  KJ_IF_MAYBE (exception, problem) {
    return absl::InvalidArgumentError(
        absl::StrCat("malformed message: ", exception->getDescription().cStr()));
  }
  return *std::move(result);
}

}  // namespace troupe::codec

// Takes the value of a StatusOr into `target`, or returns its status from the function.
#define TROUPE_TAKE(target, expression)     \
  do {                                      \
    auto taken = (expression);              \
    if (!taken.ok()) return taken.status(); \
    (target) = *std::move(taken);           \
  } while (false)
