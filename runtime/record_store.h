// RecordStore: ordered records on disk, many and small, changed in batches that are each durable as
// a whole.
//
// Lives in the data directory and under its lock. What shards of durable types keep their actors
// in; identity and the register's acceptor are in the DataDirectory itself.
//
// Threads: shared by all loops of one process; any of them may call any function.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"

namespace troupe {

class Host;

// Takes the place of what is there under the key.
struct PutRecord {
  std::string key;
  std::string value;
};
struct EraseRecord {
  std::string key;
};
// All with begin <= key < end, in the order of bytes.
struct EraseRecords {
  std::string begin;
  std::string end;
};
using RecordChange = std::variant<PutRecord, EraseRecord, EraseRecords>;

class RecordStore {
 public:
  virtual ~RecordStore() noexcept(false) = default;

  // Does `changes` in their order and all or none of them, whenever the process or the computer
  // ends. Resolves, on the loop of `host`, once they would survive a loss of power. Writes of one
  // loop are done in the order of the calls: what is there after a crash is a prefix of them. Those
  // that wait are written together, so the disk is asked once for many. Bounded by the callers, who
  // wait for what they wrote.
  // Rejects, FAILED, when the disk fails, with the reason; from then on every write does, until the
  // store is opened anew: what the disk has is not known, but that it is a prefix.
  // A write that was begun goes on if the promise is dropped.
  virtual kj::Promise<void> Write(Host& host, std::vector<RecordChange> changes) = 0;

  // Shows all with begin <= key < end, in the order of bytes, as of one moment; writes that are not
  // resolved, or were rejected, may be in it. Blocks: for Offload(). `show` is called on the
  // calling thread and must not throw; what it is given is valid during the call. Errors: DataLoss
  // for damaged records (a checksum guards each), FailedPrecondition for a store of another format,
  // Unavailable and PermissionDenied for an I/O error, Cancelled when the machine goes; what was
  // shown is void then.
  virtual absl::Status Scan(
      std::string_view begin, std::string_view end,
      const std::function<void(std::string_view key, std::string_view value)>& show) = 0;
};

}  // namespace troupe
