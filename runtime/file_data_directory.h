// FileDataDirectory: the DataDirectory over a directory of the file system.
//
// A record is one file: header (magic, length, CRC32C of name and contents), then the contents. It
// is replaced by write to a temporary file, fdatasync, rename and fsync of the directory, on the
// thread pool. The file LOCK is locked (flock) as long as the object or its process lives.
// Threads: the loop of its port. Names: letters, digits, '-', '_' and '.', not at the beginning.
// Errors of Write(): OVERLOADED beyond kWritesMax waiting for one name, FAILED when the disk fails.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "kj/async.h"
#include "troupe/runtime/data_directory.h"
#include "troupe/runtime/uv_event_port.h"

namespace troupe {

class FileDataDirectory final : public DataDirectory {
 public:
  // Creates the directory, not its parents, if it is missing. Errors: FailedPrecondition when it is
  // in use, naming the process if known; PermissionDenied; Unavailable.
  static absl::StatusOr<kj::Own<FileDataDirectory>> Open(std::string path, UvEventPort& port);
  struct Files;
  FileDataDirectory(kj::Badge<FileDataDirectory>, std::shared_ptr<Files> files, UvEventPort& port);
  ~FileDataDirectory() noexcept(false);

  uint64_t Birth() const override;
  absl::StatusOr<std::optional<std::vector<std::byte>>> Read(std::string_view name) override;
  // A write that has begun ends even if the promise is dropped.
  kj::Promise<void> Write(std::string_view name, std::vector<std::byte> contents) override;

 private:
  static constexpr size_t kWritesMax = 64;  // Each waits for the disk: far beyond what is sound.
  struct Pending {
    std::vector<std::byte> contents;
    kj::Own<kj::PromiseFulfiller<void>> result;
  };
  struct Queue {
    std::deque<Pending> waiting;
    kj::Promise<void> running = nullptr;
  };

  kj::Promise<void> RunQueue(std::string name, Queue& queue);

  std::shared_ptr<Files> files_;  // Shared with work on the pool.
  UvEventPort& port_;
  absl::flat_hash_map<std::string, std::unique_ptr<Queue>> queues_;
};

}  // namespace troupe
