// CopyDisk: what one copy of a durable shard has given its disk to write, and what of it is done.
// A part of ShardReplica.
//
// Pure. A copy says that it has a batch, and the primary that it has its own, only once the write
// of it is done (docs/protocol.md P3.19).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/disk_book.h"
#include "troupe/actors/disk_write.h"

namespace troupe {

class CopyDisk {
 public:
  CopyDisk() = default;
  // With what was read from the disk.
  CopyDisk(DiskBook book, Version written) : book_(std::move(book)), written_(written) {}

  // The store has taken `updates`, and the copy is at `position` with it.
  void Record(const std::vector<SharedUpdate>& updates, const ActorStore& store, uint64_t lineage,
              Version position);
  // The store is empty again: a new lineage.
  void BeginAnew();

  // Moves what is to be written behind what `out` has. `now`: in run time.
  void Take(absl::Duration now, std::vector<DiskWrite>& out);
  // All writes up to this one would survive.
  void OnWritten(uint64_t number);

  // The position of the newest write that is done.
  Version written() const { return written_; }
  // In run time: when the oldest write was begun that is not done; nothing: all are done.
  std::optional<absl::Duration> waiting_since() const;
  // About, of what is not done.
  size_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Begun {
    uint64_t number;
    Version position;
    size_t bytes;
    absl::Duration since;
  };

  DiskBook book_;
  bool anew_ = false;
  std::vector<DiskWrite> unbegun_;
  std::deque<Begun> begun_;
  uint64_t last_number_ = 0;
  size_t waiting_bytes_ = 0;
  Version written_;
};

}  // namespace troupe
