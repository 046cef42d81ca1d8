// Vocabulary for tests of durable shards: nodes with storage, and what becomes of a shard's copies.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "hosting_fixture.h"
#include "troupe/membership/placement.h"

namespace troupe {

inline const HostedType kThing{77, "Thing"}, kLedger{90, "Ledger", kDefaultRole, true};

inline Id128 StorageOf(const std::string& node) { return {5, static_cast<uint64_t>(node[0])}; }

// Nodes "a", "b", ... with boots 1, 2, ... and storage, that host a durable type and another one.
// The durable shards are the second range.
inline ClusterState DurableCluster(size_t nodes, uint32_t shards = 1, uint32_t replicas = 3,
                                   Types types = {kThing, kLedger}) {
  std::vector<Founder> founders;
  for (size_t i = 0; i < nodes; ++i) {
    founders.push_back(MakeFounder(std::string(1, static_cast<char>('a' + i)), i + 1));
    founders.back().storage = StorageOf(founders.back().name);
    founders.back().types = types;
  }
  ClusterConfig config;
  config.shards = shards;
  config.replicas = replicas;
  return Found(Id128{7, 7}, config, founders);
}

// The next run of a node, on the storage that it had.
inline Register Restart(const ClusterState& state, const std::string& node, uint64_t nonce,
                        Types types = {kThing, kLedger}) {
  const NodeEntry* entry = state.FindNode(node);
  Register c = Hosting(Rejoin(node, nonce, entry == nullptr ? 0 : entry->boot), std::move(types));
  c.storage = entry == nullptr ? StorageOf(node) : entry->storage;
  return c;
}
inline CopyId BootOf(const ClusterState& state, const std::string& node) {
  return state.FindNode(node)->boot;
}

// What a change of the map does to durable copies against P3.18, in words; empty: nothing.
inline std::string DurableProblem(const ClusterState& before, const ClusterState& after,
                                  const Command& command) {
  const auto* registered = std::get_if<Register>(&command);
  const NodeEntry* old = registered == nullptr ? nullptr : before.FindNode(registered->node);
  const CopyId next = old == nullptr ? 0 : BootOf(after, registered->node);
  const bool kept = old != nullptr && old->state != NodeState::kLeft &&
                    registered->holds_data_lock && !registered->storage.IsZero() &&
                    registered->storage == old->storage;
  for (ShardId id = 0; id < before.shards.size(); ++id) {
    if (!before.IsDurable(id)) continue;
    const ShardEntry &was = before.shards[id], &now = after.shards[id];
    const auto problem = [&](const char* what) { return absl::StrCat("shard ", id, ": ", what); };
    const bool in_sync = old != nullptr && Contains(was.isr, old->boot);
    const bool held = in_sync || (old != nullptr && Contains(was.elr, old->boot));
    const bool has = Contains(now.isr, next) || Contains(now.elr, next);
    if (now.state == ShardState::kLost && was.state != ShardState::kLost &&
        !std::holds_alternative<DeclareLost>(command) && (kept || !held)) {
      return problem("is lost though a storage has it");
    }
    if (old == nullptr) continue;
    if (!kept && has) return problem("a copy counts whose storage is gone, or in use");
    if (kept && in_sync && !Contains(now.isr, next)) return problem("a copy in sync is dropped");
    if (kept && held && !has && now.isr.size() < after.min_isr(id)) {
      return problem("an electable copy is dropped");
    }
    if (!kept || !in_sync) continue;
    if (now.epoch != was.epoch + 1) return problem("a copy in sync is renamed within an epoch");
    if (was.primary != 0 && was.primary != old->boot && now.primary != was.primary) {
      return problem("another primary though the one that there was lives");
    }
  }
  return "";
}

}  // namespace troupe
