#include "troupe/membership/map_store.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

// Versions a receiver may be behind and still get a difference: a burst of changes while a frame
// is under way. Unchanged parts are not shared between them, so this is memory.
constexpr size_t kFormerMax = 16;

}  // namespace

absl::StatusOr<bool> MapStore::Adopt(const ValuePtr& chosen) {
  if (chosen == nullptr || (value_ != nullptr && chosen->contents == value_->contents)) {
    return false;
  }
  auto state = StateOf(*chosen);
  if (!state.ok()) return state.status();
  return Adopt(std::make_shared<const ClusterState>(*std::move(state)), chosen);
}

absl::StatusOr<bool> MapStore::Adopt(uint64_t base, std::span<const std::byte> bytes) {
  absl::StatusOr<ClusterState> state;
  if (base == 0) {
    state = DecodeClusterState(bytes);
  } else if (map_ == nullptr || map_->version != base) {
    return absl::FailedPreconditionError(
        absl::StrCat("a difference from version ", base, ", we have ", version()));
  } else {
    state = ApplyDiff(*map_, bytes);
  }
  if (!state.ok()) return state.status();
  auto value = ValueOf(*state);
  return Adopt(std::make_shared<const ClusterState>(*std::move(state)), std::move(value));
}

absl::StatusOr<bool> MapStore::Adopt(SharedMap map, ValuePtr value) {
  if (map_ != nullptr) {
    if (map->cluster != map_->cluster) {
      return absl::FailedPreconditionError(absl::StrCat(
          "a map of cluster ", map->cluster.ToString(), ", ours is ", map_->cluster.ToString()));
    }
    if (std::tie(map->generation, map->version) <= std::tie(map_->generation, map_->version)) {
      return false;
    }
    former_.push_back(std::move(map_));
    if (former_.size() > kFormerMax) former_.pop_front();
  }
  map_ = std::move(map);
  value_ = std::move(value);
  return true;
}

MapStore::News MapStore::NewsFor(uint64_t have) const {
  News news{version(), 0, {}};
  if (map_ == nullptr || have >= map_->version) return news;
  auto base = std::find_if(former_.begin(), former_.end(),
                           [have](const SharedMap& former) { return former->version == have; });
  const bool follows = base != former_.end() && (*base)->generation == map_->generation &&
                       (*base)->format == map_->format;
  if (follows) {
    news.base = have;
    news.bytes = Diff(**base, *map_);
  } else {
    news.bytes = value_->contents;
  }
  return news;
}

}  // namespace troupe
