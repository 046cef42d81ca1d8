#include "troupe/membership/codec_parts.h"

namespace troupe::codec {

absl::Status TooMany(const char* what, size_t count, size_t count_max) {
  return absl::InvalidArgumentError(
      absl::StrCat("expected at most ", count_max, " ", what, ", got ", count));
}

void WriteId(const Id128& id, wire::Id128::Builder out) {
  out.setHi(id.hi);
  out.setLo(id.lo);
}
Id128 ReadId(wire::Id128::Reader in) { return {in.getHi(), in.getLo()}; }

absl::StatusOr<std::string> ReadText(capnp::Text::Reader in) {
  if (in.size() > kTextBytesMax) return TooMany("bytes of text", in.size(), kTextBytesMax);
  return std::string(in.begin(), in.size());
}

absl::StatusOr<std::vector<std::string>> ReadTexts(capnp::List<capnp::Text>::Reader in,
                                                   size_t count_max) {
  if (in.size() > count_max) return TooMany("texts", in.size(), count_max);
  std::vector<std::string> texts(in.size());
  for (unsigned i = 0; i < in.size(); ++i) TROUPE_TAKE(texts[i], ReadText(in[i]));
  return texts;
}

void WriteTexts(const std::vector<std::string>& texts, capnp::List<capnp::Text>::Builder out) {
  for (unsigned i = 0; i < texts.size(); ++i) out.set(i, AsText(texts[i]));
}

absl::StatusOr<std::vector<uint64_t>> ReadNumbers(capnp::List<uint64_t>::Reader in,
                                                  size_t count_max, const char* what) {
  if (in.size() > count_max) return TooMany(what, in.size(), count_max);
  std::vector<uint64_t> numbers(in.size());
  for (unsigned i = 0; i < in.size(); ++i) numbers[i] = in[i];
  return numbers;
}

void WriteNumbers(const std::vector<uint64_t>& numbers, capnp::List<uint64_t>::Builder out) {
  for (unsigned i = 0; i < numbers.size(); ++i) out.set(i, numbers[i]);
}

absl::StatusOr<VoterId> ReadVoter(wire::Voter::Reader in) {
  VoterId voter;
  TROUPE_TAKE(voter.node, ReadText(in.getNode()));
  voter.id = ReadId(in.getId());
  return voter;
}

void WriteVoter(const VoterId& voter, wire::Voter::Builder out) {
  out.setNode(AsText(voter.node));
  WriteId(voter.id, out.initId());
}

absl::StatusOr<std::vector<VoterId>> ReadVoters(capnp::List<wire::Voter>::Reader in) {
  if (in.size() > kVotersMax) return TooMany("voters", in.size(), kVotersMax);
  std::vector<VoterId> voters(in.size());
  for (unsigned i = 0; i < in.size(); ++i) TROUPE_TAKE(voters[i], ReadVoter(in[i]));
  return voters;
}

void WriteVoters(const std::vector<VoterId>& voters, capnp::List<wire::Voter>::Builder out) {
  for (unsigned i = 0; i < voters.size(); ++i) WriteVoter(voters[i], out[i]);
}

absl::StatusOr<std::vector<HostedType>> ReadTypes(capnp::List<wire::HostedType>::Reader in) {
  if (in.size() > kTypesMax) return TooMany("types", in.size(), kTypesMax);
  std::vector<HostedType> types(in.size());
  for (unsigned i = 0; i < in.size(); ++i) {
    types[i].id = in[i].getId();
    TROUPE_TAKE(types[i].name, ReadText(in[i].getName()));
    if (in[i].getRole().size() > 0) TROUPE_TAKE(types[i].role, ReadText(in[i].getRole()));
    types[i].durable = in[i].getDurable();
  }
  return types;
}

void WriteTypes(const std::vector<HostedType>& types, capnp::List<wire::HostedType>::Builder out) {
  for (unsigned i = 0; i < types.size(); ++i) {
    out[i].setId(types[i].id);
    out[i].setName(AsText(types[i].name));
    if (types[i].role != kDefaultRole) out[i].setRole(AsText(types[i].role));
    out[i].setDurable(types[i].durable);
  }
}

absl::StatusOr<NodeEntry> ReadNode(wire::Node::Reader in) {
  NodeEntry node;
  TROUPE_TAKE(node.name, ReadText(in.getName()));
  node.boot = in.getBoot();
  node.nonce = ReadId(in.getNonce());
  node.generation = in.getGeneration();
  TROUPE_TAKE(node.addresses, ReadTexts(in.getAddresses(), kAddressesMax));
  TROUPE_TAKE(node.zone, ReadText(in.getZone()));
  TROUPE_TAKE(node.roles, ReadTexts(in.getRoles(), kRolesMax));
  node.storage = ReadId(in.getStorage());
  if (in.getState() > wire::NodeState::LEFT) {
    return absl::InvalidArgumentError(absl::StrCat("node ", node.name, " is in an unknown state"));
  }
  node.state = static_cast<NodeState>(in.getState());
  TROUPE_TAKE(node.types, ReadNumbers(in.getTypes(), kTypesMax, "types"));
  return node;
}

void WriteNode(const NodeEntry& node, wire::Node::Builder out) {
  out.setName(AsText(node.name));
  out.setBoot(node.boot);
  WriteId(node.nonce, out.initNonce());
  out.setGeneration(node.generation);
  WriteTexts(node.addresses, out.initAddresses(node.addresses.size()));
  out.setZone(AsText(node.zone));
  WriteTexts(node.roles, out.initRoles(node.roles.size()));
  WriteId(node.storage, out.initStorage());
  out.setState(static_cast<wire::NodeState>(node.state));
  WriteNumbers(node.types, out.initTypes(node.types.size()));
}

absl::StatusOr<ShardEntry> ReadShard(wire::Shard::Reader in) {
  ShardEntry shard;
  shard.lineage = in.getLineage();
  shard.epoch = in.getEpoch();
  shard.primary = in.getPrimary();
  TROUPE_TAKE(shard.isr, ReadNumbers(in.getIsr(), kNodesMax));
  TROUPE_TAKE(shard.elr, ReadNumbers(in.getElr(), kNodesMax));
  TROUPE_TAKE(shard.learners, ReadNumbers(in.getLearners(), kNodesMax));
  shard.isr_version = in.getIsrVersion();
  shard.no_wait = in.getNoWait();
  if (in.getState() > wire::ShardState::LOST) {
    return absl::InvalidArgumentError("a shard is in an unknown state");
  }
  shard.state = static_cast<ShardState>(in.getState());
  return shard;
}

void WriteShard(const ShardEntry& shard, wire::Shard::Builder out) {
  out.setLineage(shard.lineage);
  out.setEpoch(shard.epoch);
  out.setPrimary(shard.primary);
  WriteNumbers(shard.isr, out.initIsr(shard.isr.size()));
  WriteNumbers(shard.elr, out.initElr(shard.elr.size()));
  WriteNumbers(shard.learners, out.initLearners(shard.learners.size()));
  out.setIsrVersion(shard.isr_version);
  out.setNoWait(shard.no_wait);
  out.setState(static_cast<wire::ShardState>(shard.state));
}

std::vector<RoleEntry> RolesOfBefore(wire::ClusterConfig::Reader in, size_t shards) {
  return {{kDefaultRole, static_cast<uint32_t>(shards), in.getMinIsr(), false}};
}

absl::StatusOr<std::vector<RoleEntry>> ReadRoles(capnp::List<wire::Role>::Reader in) {
  if (in.size() > kRolesMax) return TooMany("roles", in.size(), kRolesMax);
  std::vector<RoleEntry> roles(in.size());
  for (unsigned i = 0; i < in.size(); ++i) {
    TROUPE_TAKE(roles[i].name, ReadText(in[i].getName()));
    roles[i].shards = in[i].getShards();
    roles[i].min_isr = in[i].getMinIsr();
    roles[i].durable = in[i].getDurable();
  }
  return roles;
}

void WriteRoles(const std::vector<RoleEntry>& roles, capnp::List<wire::Role>::Builder out) {
  for (unsigned i = 0; i < roles.size(); ++i) {
    out[i].setName(AsText(roles[i].name));
    out[i].setShards(roles[i].shards);
    out[i].setMinIsr(roles[i].min_isr);
    out[i].setDurable(roles[i].durable);
  }
}

ClusterConfig ReadConfig(wire::ClusterConfig::Reader in) {
  return {in.getReplicas(), in.getMinIsrSetting(), in.getShards()};
}

void WriteConfig(const ClusterState& state, wire::ClusterConfig::Builder out) {
  out.setReplicas(state.config.replicas);
  out.setMinIsrSetting(state.config.min_isr_setting);
  out.setMinIsr(state.roles.empty() ? 1 : state.roles.front().min_isr);
  out.setShards(state.config.shards);
}

Bytes ToBytes(capnp::MessageBuilder& message) {
  kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  auto bytes = std::as_bytes(std::span(words.begin(), words.size()));
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace troupe::codec
