#include "troupe/actors/batch_log.h"

namespace troupe {

std::vector<std::vector<SharedUpdate>> InChunks(const std::vector<SharedUpdate>& updates) {
  std::vector<std::vector<SharedUpdate>> chunks(1);
  size_t bytes = 0;
  for (const SharedUpdate& update : updates) {
    size_t more = update->bytes();
    if (bytes > 0 && bytes + more > kChunkBytes) {
      chunks.emplace_back();
      bytes = 0;
    }
    chunks.back().push_back(update);
    bytes += more;
  }
  return chunks;
}

void BatchLog::Append(const std::vector<SharedUpdate>& updates) {
  Entry entry;
  uint64_t seq = newest() + 1;
  auto chunks = InChunks(updates);
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    for (const SharedUpdate& update : chunks[i]) entry.bytes += update->bytes();
    entry.chunks.push_back(
        Batch{seq, i, static_cast<uint32_t>(chunks.size()), std::move(chunks[i])});
  }
  bytes_ += entry.bytes;
  entries_.push_back(std::move(entry));
}

void BatchLog::TrimTo(uint64_t seq) {
  while (!entries_.empty() && trimmed_ < seq) {
    bytes_ -= entries_.front().bytes;
    entries_.pop_front();
    ++trimmed_;
  }
}

}  // namespace troupe
