// ShardJournal: one shard of durable types in the node's RecordStore.
//
// Used on one loop, and destroyed there; a write that was begun goes on all the same.
#pragma once

#include "kj/async.h"
#include "troupe/actors/disk_write.h"
#include "troupe/actors/restored_copy.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/record_store.h"

namespace troupe {

class ShardJournal {
 public:
  // Both outlive it.
  ShardJournal(Host& host, RecordStore& records, ShardId shard, Id128 cluster);

  // What earlier writes amount to. None may be under way. Rejects when it cannot be read, is
  // damaged, or is of another cluster or format; the error says what to do.
  kj::Promise<RestoredCopy> Load();
  // Resolves once it would survive a loss of power. Done in the order of the calls. Rejects when
  // the disk fails.
  kj::Promise<void> Write(const DiskWrite& write);
  // Of a copy that is no more.
  kj::Promise<void> Erase();
  // The same of all shards.
  static EraseRecords AllShards();

 private:
  Host& host_;
  RecordStore& records_;
  const ShardId shard_;
  const Id128 cluster_;
};

}  // namespace troupe
