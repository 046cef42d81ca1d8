// Worker, part four: which copies it has, of which the disk keeps some.
#include <utility>

#include "troupe/actors/shard_journal.h"
#include "troupe/actors/worker.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// That a copy stays after the map has taken it away: much longer than a lease that it granted, and
// than any message or confirmation for it is under way.
constexpr absl::Duration kUnneededCopyStays = absl::Seconds(10);

bool HasCopy(const ShardEntry& entry, CopyId copy) {
  return Contains(entry.isr, copy) || Contains(entry.elr, copy) || Contains(entry.learners, copy);
}

}  // namespace

// As the newest map has it.
void Worker::TakeShard(ShardId shard) {
  const auto& entry = map_->shards[shard];
  const bool durable = map_->IsDurable(shard) && options_.records != nullptr;
  const CopyId self = introduction_.boot;
  const bool ours = HasCopy(entry, self);
  auto& slot = hosts_[shard];
  if (!slot && ours) {
    if (erasing_.contains(shard)) return;  // Again when that is done.
    auto options = options_.replica;
    options.durable = durable;
    std::unique_ptr<ShardJournal> journal;
    if (durable) {
      journal = std::make_unique<ShardJournal>(host_, *options_.records, shard, map_->cluster);
    }
    off_disk_.erase(shard);
    slot = std::make_unique<ShardHost>(host_, registry_, static_cast<ShardHost::Worker&>(*this),
                                       shard, self, options, std::move(journal));
  }
  if (ours) {
    unneeded_.erase(shard);
  } else if (map_->version < self) {
    // It may show the copy under the name of the process before this one.
  } else if (slot || (durable && hosts_durable_ && !off_disk_.contains(shard))) {
    unneeded_.try_emplace(shard, host_.clock().Now());
  }
  if (!slot) return;
  slot->OnMap(*map_);
  Touch(shard);
}

kj::Promise<void> Worker::ReadInTurn(kj::Function<kj::Promise<void>()> read) {
  auto ended = kj::newPromiseAndFulfiller<void>();
  auto before = reading_.addBranch();
  reading_ = ended.promise.fork();
  // Also when it is dropped.
  auto next = kj::defer([ended = kj::mv(ended.fulfiller)]() mutable { ended->fulfill(); });
  return before.then([read = kj::mv(read)]() mutable { return read(); }).attach(kj::mv(next));
}

// What an earlier copy left is of no use to any later one.
void Worker::EraseFromDisk(ShardId shard) {
  off_disk_.insert(shard);
  erasing_.insert(shard);
  auto journal = kj::heap<ShardJournal>(host_, *options_.records, shard, map_->cluster);
  auto erased = journal->Erase().attach(kj::mv(journal));
  tasks_.add(erased.then(
      [this, shard] {
        erasing_.erase(shard);
        TakeShard(shard);
      },
      [this](kj::Exception&& e) { control_.OnDiskFailure(Words(e)); }));
}

// Our map may be behind: a primary whose map is newer may have brought a copy in sync by now that
// ours is without. So the register is asked, and whoever was spoken to meanwhile stays (P3.15).
void Worker::DropUnneeded(absl::Time now) {
  std::map<ShardId, absl::Time> due;
  for (const auto& [shard, since] : unneeded_) {
    if (now >= since + kUnneededCopyStays) due.emplace(shard, since);
  }
  if (due.empty() || std::exchange(dropping_, true)) return;
  control_.Confirm(options_.index, [this, due = std::move(due)](SharedMap map) {
    dropping_ = false;
    if (!map) return;
    for (const auto& [shard, since] : due) {
      const auto it = unneeded_.find(shard);
      if (it == unneeded_.end() || it->second != since) continue;
      if (!HasCopy(map->shards[shard], introduction_.boot)) Drop(shard);
    }
  });
}

void Worker::Drop(ShardId shard) {
  unneeded_.erase(shard);
  // A confirmation that it asked for must not come to a later copy, which counts anew.
  confirmations_.erase(shard);
  dropped_while_confirming_.insert(shard);
  hosts_[shard] = nullptr;
  if (map_->IsDurable(shard) && options_.records != nullptr) EraseFromDisk(shard);
}

}  // namespace troupe
