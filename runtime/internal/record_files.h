// RecordFiles: the files of a RocksRecordStore: a RocksDB, made when it is first written to.
//
// All functions block. Threads: any; Write() one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "troupe/runtime/record_store.h"

namespace rocksdb {
class DB;
}

namespace troupe {

class RecordFiles {
 public:
  // Touches no disk. `path`: the store's own directory; what is above it is there and locked.
  explicit RecordFiles(std::string path);
  ~RecordFiles();
  RecordFiles(const RecordFiles&) = delete;
  RecordFiles& operator=(const RecordFiles&) = delete;

  // All or nothing, and durable when it returns. Makes and opens the store if need be. Errors, also
  // of Scan(): DataLoss for damage; FailedPrecondition for a store of another format;
  // PermissionDenied and Unavailable by the system's word.
  absl::Status Write(std::span<const RecordChange> changes);
  // As RecordStore::Scan(). Cancelled after EndScans(). A store that was never written to is empty,
  // and stays unmade.
  absl::Status Scan(std::string_view begin, std::string_view end,
                    const std::function<void(std::string_view key, std::string_view value)>& show);

  // Those that run end at their next record.
  void EndScans() { scans_end_ = true; }
  // After the last Write(); waits for scans.
  void Close();

 private:
  enum class IfMissing { kMake, kLeave };
  // Null: there is none.
  absl::StatusOr<rocksdb::DB*> Open(IfMissing if_missing);
  absl::StatusOr<bool> Exists() const;
  absl::Status Make() const;
  absl::Status CheckFormat() const;

  const std::string path_;
  std::atomic<bool> scans_end_ = false;
  std::shared_mutex use_;  // Shared by those that use db_.
  std::mutex opening_;     // Of db_, from null, by those that share use_.
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace troupe
