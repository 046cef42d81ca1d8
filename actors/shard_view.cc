#include "troupe/actors/shard_view.h"

#include <algorithm>

namespace troupe {
namespace {

bool Runs(const ClusterState& state, CopyId copy) {
  const NodeEntry* node = state.FindBoot(copy);
  return node != nullptr && (node->state == NodeState::kUp || node->state == NodeState::kDraining);
}

}  // namespace

CopySet Without(const CopySet& set, CopyId copy) {
  CopySet out = set;
  std::erase(out, copy);
  return out;
}

bool ShardView::IsUp(CopyId copy) const { return Contains(up, copy); }
bool ShardView::IsAlive(CopyId copy) const { return Contains(alive, copy); }

ShardView ViewOf(const ClusterState& state, ShardId shard, CopyId self) {
  ShardView view;
  view.map_version = state.version;
  view.entry = state.shards[shard];
  view.min_isr = state.min_isr(shard);
  view.nodes = static_cast<uint32_t>(
      std::count_if(state.nodes.begin(), state.nodes.end(),
                    [](const NodeEntry& node) { return node.state != NodeState::kLeft; }));
  const ShardEntry& entry = view.entry;
  for (CopyId copy : Union(Union(entry.isr, entry.elr), entry.learners)) {
    if (state.IsUp(copy)) view.up.push_back(copy);
    if (Runs(state, copy)) view.alive.push_back(copy);
  }
  view.self_up = Runs(state, self);
  return view;
}

}  // namespace troupe
