// BatchLog: the batches of one epoch that some copy may still need, cut into chunks.
//
// Pure. Batches are immutable; those that go to several copies share their updates. Numbered from 1
// (the reconciliation) without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "troupe/actors/replica_message.h"

namespace troupe {

// `updates` in messages of about kChunkBytes, in order; at least one, perhaps empty.
std::vector<std::vector<SharedUpdate>> InChunks(const std::vector<SharedUpdate>& updates);

class BatchLog {
 public:
  // Becomes the batch newest() + 1.
  void Append(const std::vector<SharedUpdate>& updates);
  // Forgets batches up to `seq`.
  void TrimTo(uint64_t seq);

  uint64_t newest() const { return trimmed_ + entries_.size(); }
  uint64_t oldest() const { return trimmed_ + 1; }  // Kept; above newest() when none is.
  size_t bytes() const { return bytes_; }

  // `seq` in [oldest(), newest()].
  const std::vector<Batch>& Chunks(uint64_t seq) const { return At(seq).chunks; }
  size_t BytesOf(uint64_t seq) const { return At(seq).bytes; }

 private:
  struct Entry {
    std::vector<Batch> chunks;
    size_t bytes = 0;
  };
  const Entry& At(uint64_t seq) const { return entries_[seq - trimmed_ - 1]; }

  std::deque<Entry> entries_;
  uint64_t trimmed_ = 0;
  size_t bytes_ = 0;
};

}  // namespace troupe
