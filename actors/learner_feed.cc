#include "troupe/actors/learner_feed.h"

namespace troupe {

LearnerFeed::LearnerFeed(const ActorStore& store, uint64_t request, uint64_t seq,
                         std::vector<ActorId> actors)
    : request_(request), seq_(seq), unread_(actors.begin(), actors.end()) {
  for (ActorId& actor : actors) {
    // A tombstone may be forgotten before its turn comes.
    SharedUpdate image = store.Find(actor) == nullptr ? store.Image(actor) : nullptr;
    unread_images_.emplace(std::move(actor), std::move(image));
  }
}

void LearnerFeed::Preserve(const ActorStore& store, const ActorId& actor) {
  auto it = unread_images_.find(actor);
  if (it != unread_images_.end() && it->second == nullptr) it->second = store.Image(actor);
}

Snapshot LearnerFeed::NextChunk(const ActorStore& store) {
  Snapshot chunk;
  chunk.request = request_;
  chunk.seq = seq_;
  chunk.chunk = acknowledged_ + static_cast<uint32_t>(window_.size());
  size_t bytes = 0;
  while (!unread_.empty() && bytes < kChunkBytes) {
    auto it = unread_images_.find(unread_.front());
    SharedUpdate image = it->second != nullptr ? it->second : store.Image(unread_.front());
    if (bytes > 0 && bytes + image->bytes() > kChunkBytes) break;
    bytes += image->bytes();
    chunk.updates.push_back(std::move(image));
    unread_images_.erase(it);
    unread_.pop_front();
  }
  chunk.last = complete_ = unread_.empty();
  return chunk;
}

std::vector<Snapshot> LearnerFeed::Collect(const ActorStore& store) {
  while (!complete_ && window_.size() < kWindow) window_.push_back(NextChunk(store));
  std::vector<Snapshot> out(window_.begin() + static_cast<ptrdiff_t>(sent_), window_.end());
  sent_ = window_.size();
  return out;
}

bool LearnerFeed::Acknowledge(uint32_t next_chunk) {
  bool progress = false;
  while (acknowledged_ < next_chunk && !window_.empty()) {
    window_.pop_front();
    ++acknowledged_;
    if (sent_ > 0) --sent_;
    progress = true;
  }
  return progress;
}

}  // namespace troupe
