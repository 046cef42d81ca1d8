// MapStore: the newest value of the register that this node knows as chosen: its map.
//
// Pure; not thread-safe. Maps spread as differences, so it keeps the last few values to make them
// from (P2.10). Errors: FailedPrecondition for a difference from another value than ours (pull) and
// for another cluster's map; InvalidArgument for what is malformed.
#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include "absl/status/statusor.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/register_types.h"

namespace troupe {

class MapStore {
 public:
  const SharedMap& map() const { return map_; }     // Null before the first.
  const ValuePtr& value() const { return value_; }  // The same, as the register stores it.
  uint64_t version() const { return map_ == nullptr ? 0 : map_->version; }

  // The one before; 0: none.
  uint64_t former_version() const { return former_.empty() ? 0 : former_.back()->version; }

  // True when it is newer than ours and has become our map. FailedPrecondition: another cluster's.
  absl::StatusOr<bool> Adopt(const ValuePtr& chosen);

  // A map, or a difference, as it travels. `base` 0: whole.
  struct News {
    uint64_t version = 0;
    uint64_t base = 0;
    Bytes bytes;
  };
  // For one who has version `have`; empty bytes when that is the newest.
  News NewsFor(uint64_t have) const;
  absl::StatusOr<bool> Adopt(uint64_t base, std::span<const std::byte> bytes);

 private:
  absl::StatusOr<bool> Adopt(SharedMap map, ValuePtr value);

  SharedMap map_;
  ValuePtr value_;
  std::deque<SharedMap> former_;  // Oldest first.
};

}  // namespace troupe
