// LearnerFeed: the snapshot that brings one learner to a position, sent chunk by chunk.
//
// Pure. Shows every actor as of the position, although the shard goes on meanwhile: what a later
// batch is about to change is kept aside first. A few chunks are under way at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/actor_store.h"

namespace troupe {

class LearnerFeed {
 public:
  // `actors`: those to send, as the store has them now, which is at `seq` of the epoch.
  LearnerFeed(const ActorStore& store, uint64_t request, uint64_t seq, std::vector<ActorId> actors);

  // To be called before the store applies an update of `actor`.
  void Preserve(const ActorStore& store, const ActorId& actor);

  bool HasUnsent() const {
    return sent_ < window_.size() || (!complete_ && window_.size() < kWindow);
  }
  // What may be sent now and has not been.
  std::vector<Snapshot> Collect(const ActorStore& store);
  // The learner has every chunk below `next_chunk`. True when that is progress.
  bool Acknowledge(uint32_t next_chunk);
  // Sends what is not acknowledged again.
  void Rewind() { sent_ = 0; }

  uint64_t request() const { return request_; }
  uint64_t seq() const { return seq_; }
  bool waiting() const { return sent_ > 0; }

 private:
  static constexpr size_t kWindow = 4;
  Snapshot NextChunk(const ActorStore& store);

  uint64_t request_;
  uint64_t seq_;
  std::deque<ActorId> unread_;                                // Not yet in a chunk.
  absl::flat_hash_map<ActorId, SharedUpdate> unread_images_;  // Null: as the store has it.
  std::deque<Snapshot> window_;  // Made and not acknowledged, from chunk acknowledged_ on.
  size_t sent_ = 0;              // Of the window.
  uint32_t acknowledged_ = 0;
  bool complete_ = false;  // The last chunk is made.
};

}  // namespace troupe
