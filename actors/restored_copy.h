// RestoredCopy: what an earlier run of a copy of a durable shard left on its disk.
#pragma once

#include <cstdint>

#include "troupe/actors/actor_store.h"
#include "troupe/actors/disk_book.h"

namespace troupe {

struct RestoredCopy {
  uint64_t lineage = 0;  // 0: nothing.
  Version position;
  ActorStore store;
  DiskBook book;
};

}  // namespace troupe
