#include "troupe/membership/recovery.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/placement.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {
namespace {

// Of versions, for each generation: more changes than an older one can still come to.
constexpr int kGenerationShift = 32;
// Of epochs of durable shards: more than a disk can have promised by maps that no survivor has.
constexpr Epoch kEpochLeap = 1 << 16;

bool Newer(const ClusterState& a, const ClusterState& b) {
  return std::tie(a.generation, a.version) > std::tie(b.generation, b.version);
}

// What is left of the process that `node` names: itself, or durable copies on its storage.
NodeState StateAfter(const NodeEntry& node, std::span<const Remains> survivors, bool durable) {
  NodeState state = NodeState::kLeft;
  for (const Remains& one : survivors) {
    if (one.node != node.name) continue;
    if (one.nonce == node.nonce) return node.state;
    const bool kept = !one.storage.IsZero() && one.storage == node.storage;
    if (durable && kept && node.state != NodeState::kLeft) state = NodeState::kFenced;
  }
  return state;
}

}  // namespace

// A value chosen without any survivor's knowing was accepted by one, or none of its voters is here;
// and what is accepted at the highest ballot was derived from whatever was chosen below it.
absl::StatusOr<ClusterState> NewestOf(std::span<const Remains> remains) {
  SharedMap newest;
  const AcceptorState* last = nullptr;
  for (const Remains& one : remains) {
    if (one.map != nullptr) {
      if (newest != nullptr && newest->cluster != one.map->cluster) {
        return absl::FailedPreconditionError(absl::StrCat(
            "node ", one.node, " is of another cluster, ", one.map->cluster.ToString()));
      }
      if (newest == nullptr || Newer(*one.map, *newest)) newest = one.map;
    }
    const AcceptorState& acceptor = one.acceptor;
    if (acceptor.value == nullptr) continue;
    if (last == nullptr || acceptor.accepted > last->accepted) last = &acceptor;
  }
  if (newest == nullptr) return absl::NotFoundError("no survivor has a map");
  if (last != nullptr) {
    auto accepted = StateOf(*last->value);
    const bool follows = accepted.ok() && accepted->cluster == newest->cluster &&
                         accepted->generation == newest->generation;
    if (follows && Newer(*accepted, *newest)) return *std::move(accepted);
  }
  return *newest;
}

absl::StatusOr<ClusterState> NextGeneration(const ClusterState& newest, uint64_t generation,
                                            const Founder& founder,
                                            std::span<const Remains> survivors) {
  if (generation <= newest.generation) {
    return absl::FailedPreconditionError(
        absl::StrCat("a survivor is at generation ", newest.generation, " already: ask it"));
  }
  ClusterState next = newest;
  next.generation = generation;
  next.version = std::max(newest.version + 1, (generation - 1) << kGenerationShift);
  const bool durable = std::any_of(next.roles.begin(), next.roles.end(),
                                   [](const RoleEntry& role) { return role.durable; });
  for (NodeEntry& node : next.nodes) node.state = StateAfter(node, survivors, durable);
  next.voters = {VoterOf(founder.name, founder.nonce, founder.storage)};
  next.pending.clear();
  LowerMinIsr(next);
  Settle(newest, next, 0);
  const NodeEntry* entry = next.FindNode(founder.name);
  if (entry == nullptr || entry->nonce != founder.nonce) {
    // Fenced above: the founder has the directory of the process that it replaces.
    const bool lock = entry != nullptr && entry->state == NodeState::kFenced &&
                      !founder.storage.IsZero() && entry->storage == founder.storage;
    Register command{founder.name,  founder.nonce,     entry == nullptr ? 0 : entry->boot,
                     lock,          founder.addresses, founder.zone,
                     founder.roles, founder.storage,   founder.types};
    auto registered = Apply(next, command);
    if (!registered.ok()) return registered.status();
    next = std::move(registered->state);
  }
  for (ShardId id = 0; id < next.shards.size(); ++id) {
    ShardEntry& shard = next.shards[id];
    if (!next.IsDurable(id)) continue;
    shard.epoch += kEpochLeap;
    shard.isr_version += 1;
  }
  RaiseMinIsr(next);
  if (absl::Status valid = Validate(next); !valid.ok()) return valid;
  return next;
}

Ballot BallotAbove(std::span<const Remains> remains, const NodeEntry& founder) {
  uint64_t round = 0;
  for (const Remains& one : remains) {
    round = std::max({round, one.acceptor.promised.round, one.acceptor.accepted.round});
  }
  return {round + 1, founder.name, founder.nonce};
}

}  // namespace troupe
