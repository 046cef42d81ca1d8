#include "troupe/actors/disk_book.h"

#include <algorithm>

namespace troupe {
namespace {

constexpr size_t kDeltaBytesMin = 4096;  // So many are never too many.
constexpr uint32_t kDeltasMax = 256;

}  // namespace

DiskWrite::Put DiskBook::Add(const SharedUpdate& update, const ActorStore& store) {
  const auto [at, fresh] = entries_.try_emplace(update->actor);
  Entry& entry = at->second;
  SharedUpdate written = update;
  if (update->kind == ActorUpdate::Kind::kDelta) {
    const size_t bytes = entry.delta_bytes + update->bytes();
    const bool small = bytes <= std::max(entry.image_bytes, kDeltaBytesMin);
    if (!fresh && small && entry.deltas < kDeltasMax) {
      Know(*update, entry.deltas + 1);
      return {update, entry.deltas, 0};
    }
    written = store.Image(update->actor);
  }
  const DiskWrite::Put put{written, 0, entry.deltas};
  Know(*written, 0);
  return put;
}

void DiskBook::Know(const ActorUpdate& update, uint32_t index) {
  Entry& entry = entries_[update.actor];
  entry.version = update.version;
  entry.deltas = index;
  entry.delta_bytes = index == 0 ? 0 : entry.delta_bytes + update.bytes();
  if (index != 0) return;
  entry.image_bytes = update.bytes();
  if (update.kind == ActorUpdate::Kind::kTombstone) {
    tombstones_.emplace(update.version, update.actor);
  }
}

std::vector<DiskWrite::Erase> DiskBook::Forget(const ActorStore& store) {
  std::vector<DiskWrite::Erase> out;
  const auto end = tombstones_.upper_bound(store.mark());
  for (auto it = tombstones_.begin(); it != end; ++it) {
    const auto entry = entries_.find(it->second);
    const bool replaced = entry == entries_.end() || entry->second.version != it->first;
    if (replaced || store.VersionOf(it->second) != Version()) continue;
    out.push_back({it->second, entry->second.deltas});
    entries_.erase(entry);
  }
  tombstones_.erase(tombstones_.begin(), end);
  return out;
}

}  // namespace troupe
