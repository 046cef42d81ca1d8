// Vocabulary for tests of the cluster value: founding, applying, and looking at shards.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// What all nodes host where a test says nothing else.
inline std::vector<HostedType> Hosted() { return {{77, "Thing"}}; }

inline Founder MakeFounder(const std::string& name, uint64_t nonce) {
  Founder founder;
  founder.name = name;
  founder.nonce = Id128{1, nonce};
  founder.addresses = {name + ":7000"};
  founder.types = Hosted();
  return founder;
}

// Nodes "a", "b", ... with boots 1, 2, ... that host these.
using Types = std::vector<HostedType>;
inline ClusterState ClusterOf(const std::vector<Types>& hosted, uint32_t shards = 12,
                              uint32_t replicas = 3) {
  std::vector<Founder> founders;
  for (size_t i = 0; i < hosted.size(); ++i) {
    founders.push_back(MakeFounder(std::string(1, static_cast<char>('a' + i)), i + 1));
    founders.back().types = hosted[i];
  }
  ClusterConfig config;
  config.shards = shards;
  config.replicas = replicas;
  return Found(Id128{7, 7}, config, founders);
}
// The same, where it does not matter what they host.
inline ClusterState MakeCluster(size_t nodes, uint32_t shards = 12, uint32_t replicas = 3) {
  return ClusterOf(std::vector<Types>(nodes, Hosted()), shards, replicas);
}

// Applies in place and says whether anything changed; the test fails if the command does.
inline bool Do(ClusterState& state, const Command& command) {
  absl::StatusOr<Applied> applied = Apply(state, command);
  EXPECT_TRUE(applied.ok()) << Describe(command) << ": " << applied.status();
  if (!applied.ok()) return false;
  state = std::move(applied->state);
  return applied->changed;
}

inline absl::StatusCode CodeOf(const ClusterState& state, const Command& command) {
  return Apply(state, command).status().code();
}

inline Register Rejoin(const std::string& node, uint64_t nonce, Boot replaces) {
  Register c;
  c.node = node;
  c.nonce = Id128{1, nonce};
  c.replaces = replaces;
  c.holds_data_lock = true;
  c.addresses = {node + ":7000"};
  c.types = Hosted();
  return c;
}

inline Fence FenceOf(const ClusterState& state, const std::string& node,
                     Fence::Grounds grounds = Fence::Grounds::kEvidence) {
  const NodeEntry* entry = state.FindNode(node);
  return {node, entry->boot, entry->generation, grounds};
}
inline Unfence UnfenceOf(const ClusterState& state, const std::string& node) {
  const NodeEntry* entry = state.FindNode(node);
  return {node, entry->boot, entry->generation};
}
inline AlterIsr AlterOf(const ClusterState& state, ShardId shard, std::vector<CopyId> isr) {
  const ShardEntry& entry = state.shards[shard];
  return {shard, entry.primary, entry.epoch, entry.isr_version, std::move(isr)};
}

}  // namespace troupe
