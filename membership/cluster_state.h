// ClusterState: the one replicated value that decides who is a member and who owns what.
//
// Values and pure functions: no I/O, no clock, no randomness. The register (register.h) replicates
// the value, the coordinator changes it by commands, every node keeps the last chosen one as its
// map. The rules are docs/protocol.md P1, P2 and P3; the encoding is cluster.capnp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "troupe/membership/membership_mutations.h"
#include "troupe/runtime/ids.h"

namespace troupe {

enum class NodeState : uint8_t { kUp, kDraining, kFenced, kLeft };

// A copy lives in one run of one node, and boots are unique in the cluster, so the boot alone names
// it. That of a durable shard is on the node's storage and outlives the run: the next run of the
// node on the same storage takes its places, under its own boot (P3.18).
using CopyId = Boot;

inline constexpr char kDefaultRole[] = "default";  // Of types that name none.

// What a node can host: an actor type, of which membership knows no more than this.
struct HostedType {
  uint64_t id = 0;
  std::string name;
  std::string role = kDefaultRole;
  bool durable = false;  // Its actors are kept on disk, in shards of their own.
  friend auto operator<=>(const HostedType&, const HostedType&) = default;
};

struct NodeEntry {
  std::string name;
  Boot boot = 0;
  Id128 nonce;              // Of the process that registered.
  uint64_t generation = 0;  // Raised by each Unfence.
  std::vector<std::string> addresses;
  std::string zone;
  std::vector<std::string> roles;
  Id128 storage;  // Zero: nothing on disk.
  NodeState state = NodeState::kUp;
  std::vector<uint64_t> types;  // That it hosts, sorted; their names are in ClusterState::types.

  bool hosts() const { return !types.empty(); }  // Else it gets no copy of any shard.

  friend bool operator==(const NodeEntry&, const NodeEntry&) = default;
};

// A voter of the register: the process nonce, or the storage id where the acceptor is durable.
struct VoterId {
  std::string node;
  Id128 id;
  friend auto operator<=>(const VoterId&, const VoterId&) = default;
};

enum class ShardState : uint8_t {
  kActive,     // Has a primary.
  kNoPrimary,  // Copies exist, none of them can serve now.
  kLost,       // No copy is left; only Recover or DeclareLost goes on from here.
};

struct ShardEntry {
  uint64_t lineage = 1;
  Epoch epoch = 1;
  CopyId primary = 0;       // 0: none.
  std::vector<CopyId> isr;  // Sorted. Hold everything answered.
  std::vector<CopyId> elr;  // Sorted. Left the ISR when it fell below min_isr; still electable.
  std::vector<CopyId> learners;  // Sorted. Catching up.
  uint64_t isr_version = 1;      // Raised by every change of isr; the CAS token with epoch.
  Boot no_wait = 0;              // For this epoch, leases granted to this boot are void; 0: none.
  ShardState state = ShardState::kActive;

  friend bool operator==(const ShardEntry&, const ShardEntry&) = default;
};

struct ClusterConfig {
  uint32_t replicas = 3;
  uint32_t min_isr_setting = 0;  // What the operator set; 0: by rule P3.12.
  uint32_t shards = 256;         // Of each group.
  friend bool operator==(const ClusterConfig&, const ClusterConfig&) = default;
};

// A group of shards: what some nodes are for, and whether it is kept on disk. The durable types of
// a role and its others are two groups, each with shards of its own on the nodes that host types of
// it (P3.17).
struct RoleEntry {
  std::string name;
  uint32_t shards = 0;   // Behind those of the groups before it.
  uint32_t min_isr = 1;  // In force now.
  bool durable = false;
  friend bool operator==(const RoleEntry&, const RoleEntry&) = default;
};

struct ClusterState {
  uint64_t version = 0;     // +1 by every applied command; 0: no value yet.
  uint32_t format = 1;      // What a program must know to change it (limits.h).
  uint64_t generation = 1;  // Raised by `troupe recover`; older generations are refused.
  Id128 cluster;
  ClusterConfig config;
  std::vector<VoterId> voters;   // Sorted.
  std::vector<VoterId> pending;  // Sorted; empty when no voter change is under way.
  std::vector<NodeEntry> nodes;  // Sorted by name.
  std::vector<ShardEntry> shards;
  std::vector<HostedType> types;  // Sorted by id. All that members host, or once hosted.

  std::vector<RoleEntry> roles;  // Of all shards, in the shards' order; only added to.

  const HostedType* FindType(uint64_t id) const;
  // Indices into roles: of a shard that there is, of a group (roles.size(): none), of a type (the
  // first if the table does not have it).
  size_t RoleOf(ShardId shard) const;
  size_t FindRole(std::string_view name, bool durable) const;
  size_t RoleOfType(uint64_t type) const;
  ShardId FirstShardOf(size_t role) const;
  bool IsDurable(ShardId shard) const { return roles[RoleOf(shard)].durable; }
  uint32_t min_isr(ShardId shard) const { return roles[RoleOf(shard)].min_isr; }
  const NodeEntry* FindNode(std::string_view name) const;
  const NodeEntry* FindBoot(Boot boot) const;  // Null for a boot that is no node's current one.
  bool IsUp(Boot boot) const;                  // Current boot of a node in state kUp.

  friend bool operator==(const ClusterState&, const ClusterState&) = default;
};

// A chosen value as everyone keeps it: never changed, shared between loops.
using SharedMap = std::shared_ptr<const ClusterState>;

// ---- Commands. All are compare-and-set and idempotent: applying one twice is one change.

struct Register {
  std::string node;
  Id128 nonce;
  Boot replaces = 0;  // The boot of this name the registrant knows of; 0: none.
  bool holds_data_lock = false;
  std::vector<std::string> addresses;
  std::string zone;
  std::vector<std::string> roles;
  Id128 storage;
  std::vector<HostedType> types;  // Sorted by id.
};
struct Fence {
  std::string node;
  Boot boot = 0;
  uint64_t generation = 0;
  enum class Grounds : uint8_t { kEvidence, kProofOfDeath } grounds = Grounds::kEvidence;
};
struct Unfence {
  std::string node;
  Boot boot = 0;
  uint64_t generation = 0;
};
struct AlterIsr {
  ShardId shard = 0;
  CopyId primary = 0;
  Epoch epoch = 0;
  uint64_t isr_version = 0;
  std::vector<CopyId> isr;  // The wanted set, sorted.
};
struct AddLearner {
  ShardId shard = 0;
  Epoch epoch = 0;
  CopyId copy = 0;
};
struct RemoveLearner {
  ShardId shard = 0;
  Epoch epoch = 0;
  CopyId copy = 0;
};
struct MovePrimary {
  ShardId shard = 0;
  Epoch epoch = 0;
  uint64_t isr_version = 0;
  CopyId from = 0;
  CopyId to = 0;  // 0: any electable copy but `from` (a primary that resigns, P3.10).
};
struct Drain {
  std::string node;
  Boot boot = 0;
};
struct Leave {
  std::string node;
  Boot boot = 0;
};
struct Recover {  // The operator: start LOST shards again, empty where nothing is left. lineage
                  // + 1.
  ShardId shard = 0;
  uint64_t lineage = 0;
};
struct DeclareLost {  // The operator: give up the copies named, of a shard in kNoPrimary.
  ShardId shard = 0;
  uint64_t lineage = 0;
  Epoch epoch = 0;
};
struct SetPendingVoters {  // Begins a joint change.
  std::vector<VoterId> from;
  std::vector<VoterId> to;
};
struct AdoptPendingVoters {  // Ends it: voters = pending.
  std::vector<VoterId> pending;
};
struct SetConfig {               // The operator.
  uint32_t replicas = 0;         // 0: unchanged.
  uint32_t min_isr_setting = 0;  // 0: unchanged.
};

using Command =
    std::variant<Register, Fence, Unfence, AlterIsr, AddLearner, RemoveLearner, MovePrimary, Drain,
                 Leave, Recover, DeclareLost, SetPendingVoters, AdoptPendingVoters, SetConfig>;

// Applied: `state` is the next value, one version higher. Already so: `state` is unchanged and the
// command's effect is in it. Errors (nothing changes): FailedPrecondition when the compare fails
// (says what was expected and what is), NotFound, PermissionDenied (a Register that would replace a
// live node, or take its storage), InvalidArgument: of no use to repeat, such as a Register of a
// node that hosts other types than those that are there, or durable ones without storage (P1.7).
struct Applied {
  ClusterState state;
  bool changed = false;
};
absl::StatusOr<Applied> Apply(const ClusterState& state, const Command& command,
                              const MembershipMutations& mutations = kNoMembershipMutations);

// The founding value: these nodes, boots 1..n in the order given, version n, all shards spread over
// those that host something. `founders` must not be empty, its names must differ and its types fit,
// also with its storage (hosted_types.h); if none hosts anything all shards are LOST.
struct Founder {
  std::string name;
  Id128 nonce;
  std::vector<std::string> addresses;
  std::string zone;
  std::vector<std::string> roles;
  Id128 storage;
  std::vector<HostedType> types;  // Sorted by id.
};
ClusterState Found(Id128 cluster, ClusterConfig config, std::vector<Founder> founders);

// Rendezvous (highest random weight) score of a node for a shard; the base of every placement.
// Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
uint64_t PlacementScore(ShardId shard, std::string_view node);

// What the coordinator should do next for the cluster's health, most urgent first and at most
// `limit`: AddLearner where a shard has fewer than `replicas` live copies and an UP node that hosts
// something is without one, SetPendingVoters/AdoptPendingVoters towards 1, 3 or 5 voters,
// RemoveLearner of the dead.
std::vector<Command> PlanRepairs(const ClusterState& state, size_t limit);
// Moves of primaries that even out the load, only when no shard is under-replicated; each goes from
// a node with too many to an ISR copy on a node with too few that hosts no fewer types (P3.16). The
// receiving command is proposed by the primary itself.
struct WantedMove {
  ShardId shard;
  CopyId from;
  CopyId to;
};
std::vector<WantedMove> PlanMoves(const ClusterState& state, size_t limit);

std::string Describe(const Command& command);
const char* Name(NodeState state);
std::string Describe(const RoleEntry& group);  // "gpu", or "gpu, on disk".

}  // namespace troupe
