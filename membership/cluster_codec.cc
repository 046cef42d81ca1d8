#include "troupe/membership/cluster_codec.h"

#include <algorithm>
#include <utility>

#include "troupe/membership/codec_parts.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

using codec::Parse;
using codec::ReadId;
using codec::ReadText;
using codec::ReadVoters;
using codec::ToBytes;
using codec::TooMany;
using codec::WriteId;
using codec::WriteVoters;

template <typename Reader>
absl::Status CheckFormat(Reader in) {
  if (in.getFormat() >= 1 && in.getFormat() <= kClusterFormat) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("the value has format ", in.getFormat(),
                                               ", this program knows 1..", kClusterFormat));
}

// What ClusterState and ClusterDifference both carry.
template <typename Builder>
void WriteHeader(const ClusterState& state, Builder& out) {
  out.setFormat(state.format);
  out.setVersion(state.version);
  out.setGeneration(state.generation);
  WriteId(state.cluster, out.initCluster());
  WriteVoters(state.voters, out.initVoters(state.voters.size()));
  WriteVoters(state.pending, out.initPending(state.pending.size()));
}

template <typename Reader, typename Header>
absl::Status ReadHeader(Reader in, Header& header) {
  header.format = in.getFormat();
  header.version = in.getVersion();
  header.generation = in.getGeneration();
  header.cluster = ReadId(in.getCluster());
  TROUPE_TAKE(header.voters, ReadVoters(in.getVoters()));
  TROUPE_TAKE(header.pending, ReadVoters(in.getPending()));
  return absl::OkStatus();
}

}  // namespace

void Write(const ClusterState& state, wire::ClusterState::Builder out) {
  WriteHeader(state, out);
  codec::WriteConfig(state, out.initConfig());
  auto nodes = out.initNodes(state.nodes.size());
  for (unsigned i = 0; i < state.nodes.size(); ++i) codec::WriteNode(state.nodes[i], nodes[i]);
  auto shards = out.initShards(state.shards.size());
  for (unsigned i = 0; i < state.shards.size(); ++i) codec::WriteShard(state.shards[i], shards[i]);
  codec::WriteTypes(state.types, out.initTypes(state.types.size()));
  codec::WriteRoles(state.roles, out.initRoles(state.roles.size()));
}

absl::StatusOr<ClusterState> Read(wire::ClusterState::Reader in) {
  if (absl::Status s = CheckFormat(in); !s.ok()) return s;
  ClusterState state;
  if (absl::Status s = ReadHeader(in, state); !s.ok()) return s;
  state.config = codec::ReadConfig(in.getConfig());
  auto nodes = in.getNodes();
  if (nodes.size() > kNodesMax) return TooMany("nodes", nodes.size(), kNodesMax);
  for (auto node : nodes) TROUPE_TAKE(state.nodes.emplace_back(), codec::ReadNode(node));
  auto shards = in.getShards();
  if (shards.size() > kShardsMax) return TooMany("shards", shards.size(), kShardsMax);
  for (auto shard : shards) TROUPE_TAKE(state.shards.emplace_back(), codec::ReadShard(shard));
  TROUPE_TAKE(state.types, codec::ReadTypes(in.getTypes()));
  TROUPE_TAKE(state.roles, codec::ReadRoles(in.getRoles()));
  if (state.roles.empty()) state.roles = codec::RolesOfBefore(in.getConfig(), shards.size());
  if (absl::Status s = Validate(state); !s.ok()) return s;
  return state;
}

Bytes Encode(const ClusterState& state) {
  capnp::MallocMessageBuilder message;
  Write(state, message.initRoot<wire::ClusterState>());
  return ToBytes(message);
}

absl::StatusOr<ClusterState> DecodeClusterState(std::span<const std::byte> bytes) {
  return Parse<wire::ClusterState>(bytes, [](wire::ClusterState::Reader in) { return Read(in); });
}

absl::StatusOr<ClusterHeader> DecodeClusterHeader(std::span<const std::byte> bytes) {
  return Parse<wire::ClusterState>(
      bytes, [](wire::ClusterState::Reader in) -> absl::StatusOr<ClusterHeader> {
        ClusterHeader header;
        if (absl::Status s = ReadHeader(in, header); !s.ok()) return s;
        if (header.version == 0 || header.format == 0 || header.voters.empty()) {
          return absl::InvalidArgumentError("a value has a version, a format and voters");
        }
        return header;
      });
}

Bytes Diff(const ClusterState& from, const ClusterState& to) {
  std::vector<const NodeEntry*> nodes;
  std::vector<const std::string*> gone;
  std::vector<ShardId> shards;
  for (const NodeEntry& node : to.nodes) {
    const NodeEntry* old = from.FindNode(node.name);
    if (old == nullptr || !(*old == node)) nodes.push_back(&node);
  }
  for (const NodeEntry& node : from.nodes) {
    if (to.FindNode(node.name) == nullptr) gone.push_back(&node.name);
  }
  for (ShardId id = 0; id < to.shards.size(); ++id) {
    if (id >= from.shards.size() || !(from.shards[id] == to.shards[id])) shards.push_back(id);
  }
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<wire::ClusterDifference>();
  WriteHeader(to, out);
  out.setFromVersion(from.version);
  codec::WriteConfig(to, out.initConfig());
  auto nodes_out = out.initNodes(nodes.size());
  for (unsigned i = 0; i < nodes.size(); ++i) codec::WriteNode(*nodes[i], nodes_out[i]);
  auto gone_out = out.initGone(gone.size());
  for (unsigned i = 0; i < gone.size(); ++i) gone_out.set(i, codec::AsText(*gone[i]));
  auto shards_out = out.initShards(shards.size());
  for (unsigned i = 0; i < shards.size(); ++i) {
    shards_out[i].setId(shards[i]);
    codec::WriteShard(to.shards[shards[i]], shards_out[i].initShard());
  }
  if (to.types != from.types) codec::WriteTypes(to.types, out.initTypes(to.types.size()));
  if (to.roles != from.roles) codec::WriteRoles(to.roles, out.initRoles(to.roles.size()));
  return ToBytes(message);
}

namespace {

absl::Status CheckBase(const ClusterState& base, wire::ClusterDifference::Reader in) {
  if (in.getFromVersion() != base.version || ReadId(in.getCluster()) != base.cluster ||
      in.getGeneration() != base.generation || in.getFormat() != base.format) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the difference is from version ", in.getFromVersion(), " of generation ",
        in.getGeneration(), " of cluster ", ReadId(in.getCluster()).ToString(), ", expected ",
        base.version, " of ", base.generation, " of ", base.cluster.ToString()));
  }
  if (in.getVersion() <= base.version) {
    return absl::InvalidArgumentError("the difference leads to no later version");
  }
  return absl::OkStatus();
}

// Replaces or adds `node` in a list sorted by name.
void Put(std::vector<NodeEntry>& nodes, NodeEntry node) {
  auto at = std::lower_bound(nodes.begin(), nodes.end(), node.name,
                             [](const NodeEntry& n, const std::string& k) { return n.name < k; });
  if (at != nodes.end() && at->name == node.name) {
    *at = std::move(node);
  } else {
    nodes.insert(at, std::move(node));
  }
}

absl::StatusOr<ClusterState> ReadDiff(const ClusterState& base,
                                      wire::ClusterDifference::Reader in) {
  if (absl::Status s = CheckFormat(in); !s.ok()) return s;
  if (absl::Status s = CheckBase(base, in); !s.ok()) return s;
  ClusterState state = base;
  if (absl::Status s = ReadHeader(in, state); !s.ok()) return s;
  state.config = codec::ReadConfig(in.getConfig());
  for (size_t count : {size_t{in.getNodes().size()}, size_t{in.getGone().size()}}) {
    if (count > kNodesMax) return TooMany("nodes", count, kNodesMax);
  }
  for (capnp::Text::Reader name : in.getGone()) {
    std::string text;
    TROUPE_TAKE(text, ReadText(name));
    std::erase_if(state.nodes, [&](const NodeEntry& node) { return node.name == text; });
  }
  for (wire::Node::Reader reader : in.getNodes()) {
    NodeEntry node;
    TROUPE_TAKE(node, codec::ReadNode(reader));
    Put(state.nodes, std::move(node));
  }
  if (in.getShards().size() > kShardsMax) {
    return TooMany("shards", in.getShards().size(), kShardsMax);
  }
  for (wire::ClusterDifference::Change::Reader change : in.getShards()) {
    if (change.getId() > state.shards.size() || change.getId() >= kShardsMax) {
      return TooMany("shards", size_t{change.getId()} + 1, state.shards.size() + 1);
    }
    if (change.getId() == state.shards.size()) state.shards.emplace_back();
    TROUPE_TAKE(state.shards[change.getId()], codec::ReadShard(change.getShard()));
  }
  if (in.hasTypes()) TROUPE_TAKE(state.types, codec::ReadTypes(in.getTypes()));
  if (in.hasRoles()) TROUPE_TAKE(state.roles, codec::ReadRoles(in.getRoles()));
  if (absl::Status s = Validate(state); !s.ok()) return s;
  return state;
}

}  // namespace

absl::StatusOr<ClusterState> ApplyDiff(const ClusterState& base, std::span<const std::byte> diff) {
  return Parse<wire::ClusterDifference>(
      diff, [&](wire::ClusterDifference::Reader in) { return ReadDiff(base, in); });
}

}  // namespace troupe
