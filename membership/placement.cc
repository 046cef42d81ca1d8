#include "troupe/membership/placement.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>

#include "troupe/membership/limits.h"

namespace troupe {

bool Contains(const CopySet& set, CopyId copy) {
  return std::binary_search(set.begin(), set.end(), copy);
}

void Insert(CopySet& set, CopyId copy) {
  auto at = std::lower_bound(set.begin(), set.end(), copy);
  if (at == set.end() || *at != copy) set.insert(at, copy);
}

void Erase(CopySet& set, CopyId copy) {
  auto at = std::lower_bound(set.begin(), set.end(), copy);
  if (at != set.end() && *at == copy) set.erase(at);
}

CopySet Union(const CopySet& a, const CopySet& b) {
  CopySet out;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

CopySet Difference(const CopySet& a, const CopySet& b) {
  CopySet out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

bool IsCopySet(const CopySet& set) {
  return std::adjacent_find(set.begin(), set.end(), std::greater_equal<>()) == set.end() &&
         (set.empty() || set.front() != 0);
}

Copies::Copies(const ClusterState& state) : state_(state) {
  std::vector<size_t> role_of;  // By place in the table; of a role that is yet to be added: none.
  for (const HostedType& type : state.types) {
    role_of.push_back(state.FindRole(type.role, type.durable));
  }
  for (const NodeEntry& node : state.nodes) {
    if (node.state == NodeState::kLeft) continue;
    At at{&node, std::vector<size_t>(state.roles.size())};
    for (uint64_t id : node.types) {
      const HostedType* type = state.FindType(id);
      if (type == nullptr) continue;
      const size_t role = role_of[static_cast<size_t>(type - state.types.data())];
      if (role < at.types.size()) ++at.types[role];
    }
    by_boot_.emplace(node.boot, std::move(at));
  }
}

const NodeEntry* Copies::Node(CopyId copy) const {
  auto found = by_boot_.find(copy);
  return found == by_boot_.end() ? nullptr : found->second.node;
}

bool Copies::IsUp(CopyId copy) const {
  const NodeEntry* node = Node(copy);
  return node != nullptr && node->state == NodeState::kUp;
}

bool Copies::IsAlive(CopyId copy) const {
  const NodeEntry* node = Node(copy);
  return node != nullptr && (node->state == NodeState::kUp || node->state == NodeState::kDraining);
}

size_t Copies::TypesAt(CopyId copy, ShardId shard) const {
  auto found = by_boot_.find(copy);
  const size_t role = state_.RoleOf(shard);
  const bool known = found != by_boot_.end() && role < found->second.types.size();
  return known ? found->second.types[role] : 0;
}

CopyId Copies::Elect(ShardId shard, const CopySet& candidates) const {
  CopyId best = 0;
  std::tuple<bool, size_t, uint64_t> best_rank;
  for (CopyId copy : candidates) {
    if (!IsAlive(copy)) continue;
    std::tuple rank(IsUp(copy), TypesAt(copy, shard), PlacementScore(shard, Node(copy)->name));
    if (best == 0 || rank > best_rank) {
      best = copy;
      best_rank = rank;
    }
  }
  return best;
}

bool IsLastCopy(const ShardEntry& shard, const Copies& copies, CopyId copy) {
  const CopySet holders = Union(shard.isr, shard.elr);
  return Contains(holders, copy) && std::none_of(holders.begin(), holders.end(), [&](CopyId other) {
           return other != copy && copies.IsAlive(other);
         });
}

uint64_t PlacementScore(ShardId shard, std::string_view node) {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a over the name, then a finaliser with the shard.
  for (unsigned char c : node) hash = (hash ^ c) * 0x100000001b3ull;
  hash ^= (uint64_t{shard} + 1) * 0x9E3779B97F4A7C15ull;
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9ull;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBull;
  return hash ^ (hash >> 31);
}

std::vector<CopyId> ChooseHosts(const ClusterState& state, const Copies& copies, ShardId shard,
                                const CopySet& present, size_t count) {
  struct Candidate {
    uint64_t score;
    const NodeEntry* node;
  };
  std::vector<Candidate> candidates;
  for (const NodeEntry& node : state.nodes) {
    if (node.state != NodeState::kUp || Contains(present, node.boot)) continue;
    if (copies.TypesAt(node.boot, shard) == 0) continue;
    candidates.push_back({PlacementScore(shard, node.name), &node});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  std::vector<std::string> zones;
  for (CopyId copy : present) {
    if (const NodeEntry* node = copies.Node(copy)) zones.push_back(node->zone);
  }
  std::vector<CopyId> chosen;
  auto take = [&](bool only_new_zones) {
    for (Candidate& candidate : candidates) {
      if (chosen.size() == count) return;
      if (candidate.node == nullptr) continue;
      const std::string& zone = candidate.node->zone;
      bool is_new = zone.empty() || std::find(zones.begin(), zones.end(), zone) == zones.end();
      if (only_new_zones && !is_new) continue;
      zones.push_back(zone);
      chosen.push_back(candidate.node->boot);
      candidate.node = nullptr;
    }
  };
  take(true);
  take(false);
  return chosen;
}

size_t CountHosts(const ClusterState& state, const Copies& copies, size_t role) {
  const ShardId shard = state.FirstShardOf(role);
  return static_cast<size_t>(
      std::count_if(state.nodes.begin(), state.nodes.end(), [&](const NodeEntry& node) {
        return node.state == NodeState::kUp && copies.TypesAt(node.boot, shard) > 0;
      }));
}

// Primaries are dealt out with a ceiling, so that a founding cluster starts even; copies on nodes
// that host most types come first.
void AddRole(ClusterState& state, const std::string& name, bool durable) {
  if (durable) state.format = std::max(state.format, kDurableFormat);
  state.roles.push_back({name, state.config.shards, 1, durable});
  const Copies copies(state);
  const size_t hosts = std::max<size_t>(1, CountHosts(state, copies, state.roles.size() - 1));
  const size_t ceiling = (state.config.shards + hosts - 1) / hosts;
  absl::flat_hash_map<CopyId, size_t> dealt;
  for (uint32_t i = 0; i < state.config.shards; ++i) {
    const auto id = static_cast<ShardId>(state.shards.size());
    ShardEntry& shard = state.shards.emplace_back();
    shard.isr = ChooseHosts(state, copies, id, {}, state.config.replicas);
    if (shard.isr.empty()) {
      shard.state = ShardState::kLost;
      continue;
    }
    size_t most = 0;
    for (CopyId host : shard.isr) most = std::max(most, copies.TypesAt(host, id));
    CopySet fullest = shard.isr;
    std::erase_if(fullest, [&](CopyId host) { return copies.TypesAt(host, id) < most; });
    const auto free = std::find_if(fullest.begin(), fullest.end(),
                                   [&](CopyId host) { return dealt[host] < ceiling; });
    shard.primary = free == fullest.end() ? fullest.front() : *free;
    ++dealt[shard.primary];
    std::sort(shard.isr.begin(), shard.isr.end());
  }
}

VoterId VoterOf(const std::string& node, const Id128& nonce, const Id128& storage) {
  return {node, storage.IsZero() ? nonce : storage};
}

VoterId VoterOf(const NodeEntry& node) { return VoterOf(node.name, node.nonce, node.storage); }

std::vector<VoterId> WantedVoters(const ClusterState& state) {
  std::vector<VoterId> kept, fresh, fenced;
  size_t members = 0;  // Those that may come to vote: neither draining nor gone.
  for (const NodeEntry& node : state.nodes) {
    bool stays = node.state == NodeState::kUp || node.state == NodeState::kFenced;
    if (!stays) continue;
    ++members;
    VoterId id = VoterOf(node);
    bool votes = std::binary_search(state.voters.begin(), state.voters.end(), id);
    if (node.state == NodeState::kUp) (votes ? kept : fresh).push_back(id);
    if (node.state == NodeState::kFenced && votes) fenced.push_back(id);
  }
  // A process that is gone for good may still be in the set; it stays only for want of another.
  for (const VoterId& voter : state.voters) {
    const NodeEntry* node = state.FindNode(voter.node);
    if (node != nullptr && node->state != NodeState::kDraining && node->state != NodeState::kLeft &&
        VoterOf(*node) != voter) {
      fenced.push_back(voter);
    }
  }
  size_t size = members >= 5 ? 5 : members >= 3 ? 3 : 1;
  std::vector<VoterId> wanted;
  for (const auto* group : {&kept, &fresh, &fenced}) {
    for (const VoterId& voter : *group) {
      if (wanted.size() < size) wanted.push_back(voter);
    }
  }
  if (wanted.size() < size && wanted.size() % 2 == 0 && !wanted.empty()) wanted.pop_back();
  if (wanted.empty()) return state.voters;
  std::sort(wanted.begin(), wanted.end());
  return wanted;
}

bool VotersAreWhole(const ClusterState& state) {
  return state.pending.empty() && WantedVoters(state) == state.voters;
}

}  // namespace troupe
