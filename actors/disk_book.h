// DiskBook: what the disk has of each actor of one shard, as far as it takes to decide what to
// write.
//
// Pure. A delta is written as it is while all the deltas of its actor together are no longer than
// its image, and takes the form of a new image then: the disk is written at most about twice for
// each change, and read at most about twice what there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/disk_write.h"

namespace troupe {

class DiskBook {
 public:
  // How `update`, which `store` has taken just now, is to be written.
  DiskWrite::Put Add(const SharedUpdate& update, const ActorStore& store);
  // `update` was read from the disk, where it has this index.
  void Know(const ActorUpdate& update, uint32_t index);
  // The tombstones that the store has forgotten: no copy has the actor any more.
  std::vector<DiskWrite::Erase> Forget(const ActorStore& store);

 private:
  struct Entry {
    Version version;
    size_t image_bytes = 0;
    size_t delta_bytes = 0;
    uint32_t deltas = 0;
  };
  absl::flat_hash_map<ActorId, Entry> entries_;
  std::multimap<Version, ActorId> tombstones_;
};

}  // namespace troupe
