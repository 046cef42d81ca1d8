#include "troupe/actors/copy_disk.h"

namespace troupe {

void CopyDisk::Record(const std::vector<SharedUpdate>& updates, const ActorStore& store,
                      uint64_t lineage, Version position) {
  DiskWrite& write = unbegun_.emplace_back();
  write.number = ++last_number_;
  write.anew = std::exchange(anew_, false);
  write.lineage = lineage;
  write.position = position;
  write.mark = store.mark();
  for (const SharedUpdate& update : updates) write.puts.push_back(book_.Add(update, store));
  write.erased = book_.Forget(store);
}

void CopyDisk::BeginAnew() {
  book_ = DiskBook();
  anew_ = true;
}

void CopyDisk::Take(absl::Duration now, std::vector<DiskWrite>& out) {
  for (DiskWrite& write : unbegun_) {
    size_t bytes = 0;
    for (const DiskWrite::Put& put : write.puts) bytes += put.update->bytes();
    waiting_bytes_ += bytes;
    begun_.push_back({write.number, write.position, bytes, now});
    out.push_back(std::move(write));
  }
  unbegun_.clear();
}

void CopyDisk::OnWritten(uint64_t number) {
  while (!begun_.empty() && begun_.front().number <= number) {
    written_ = begun_.front().position;
    waiting_bytes_ -= begun_.front().bytes;
    begun_.pop_front();
  }
}

std::optional<absl::Duration> CopyDisk::waiting_since() const {
  if (begun_.empty()) return std::nullopt;
  return begun_.front().since;
}

}  // namespace troupe
