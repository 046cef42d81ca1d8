// RocksRecordStore: the RecordStore over a RocksDB in a directory of its own.
//
// Nothing is made or opened, and no thread runs, before the first Write(); Scan() opens what is
// there. A thread of its own writes whatever waits as one batch of RocksDB, up to kBatchBytesMax,
// and waits once for the disk.
//
// Threads: as RecordStore says. The hosts outlive it; the directory above is locked meanwhile.
// Errors of Write(): FAILED, with the path and what the disk said.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "troupe/runtime/record_store.h"

namespace troupe {

class RecordFiles;

class RocksRecordStore final : public RecordStore {
 public:
  // `path`: of the store's own directory.
  explicit RocksRecordStore(std::string path);
  ~RocksRecordStore() noexcept(false) override;
  // Ends the writes that were begun and cuts scans short. Later calls fail, but may be made: work
  // that nobody waits for any more runs on a while.
  void Close();

  kj::Promise<void> Write(Host& host, std::vector<RecordChange> changes) override;
  absl::Status Scan(
      std::string_view begin, std::string_view end,
      const std::function<void(std::string_view key, std::string_view value)>& show) override;

 private:
  // A larger one would keep those that come meanwhile waiting. A single write may have more.
  static constexpr size_t kBatchBytesMax = 16 * 1024 * 1024;

  struct Job;
  class Waiter;
  using Jobs = std::vector<std::shared_ptr<Job>>;
  void Run();
  Jobs TakeBatch();
  void WriteBatch(const Jobs& jobs);
  static void Resolve(const Jobs& jobs, const absl::Status& status);

  const std::unique_ptr<RecordFiles> files_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> waiting_;
  bool ended_ = false;
  std::thread writer_;   // From the first write on.
  absl::Status failed_;  // The writer's own: why every write rejects.
};

}  // namespace troupe
