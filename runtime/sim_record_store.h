// SimRecords: what a RecordStore keeps on a simulated disk, and what can go wrong.
//
// What waits is written together: one batch is under way at a time, for a random time of the disk.
// A crash leaves of the writes of each loop, under way or waiting, a prefix; each as a whole. It
// outlives the processes that use it, one at a time.
//
// Faults are those of its SimDisk: kFail, of which a prefix remains as after a crash, and kFull, of
// which nothing does, reject what is under way, and from then on every write of that process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kj/memory.h"
#include "troupe/runtime/random.h"
#include "troupe/runtime/record_store.h"

namespace troupe {

class SimDisk;

namespace internal {
class SimProcess;
class SimRecordStore;
struct SimRecordWrite;
}  // namespace internal

class SimRecords {
 public:
  SimRecords(SimDisk& disk, Random random);
  ~SimRecords();
  SimRecords(const SimRecords&) = delete;
  SimRecords& operator=(const SimRecords&) = delete;

  // Rot: a Scan() that comes by the record, if there is one, says DataLoss until it is put anew or
  // erased.
  void Damage(std::string_view key);
  // What an operator does who deletes them, and not the rest of the disk; no process uses it.
  void Lose() { Erase(); }
  // What a crash now would leave at the least.
  const std::map<std::string, std::string, std::less<>>& contents() const { return contents_; }

 private:
  friend class SimDisk;
  friend class internal::SimRecordStore;
  using Writes = std::vector<std::shared_ptr<internal::SimRecordWrite>>;

  kj::Own<RecordStore> Open(internal::SimProcess& process);
  void Erase();
  void CopyFrom(const SimRecords& other);
  void Crash(internal::SimProcess& process);
  absl::Status Scan(
      std::string_view begin, std::string_view end,
      const std::function<void(std::string_view key, std::string_view value)>& show) const;
  kj::Promise<void> Write(internal::SimProcess& process, Host& host,
                          std::vector<RecordChange> changes);
  // Has the disk do what waits, unless it is busy.
  void Begin();
  void Finish();
  // Does of the writes of each loop the first ones, a random number.
  void DoPrefixes(const Writes& writes);
  void Do(const std::vector<RecordChange>& changes);

  SimDisk& disk_;
  Random random_;
  std::map<std::string, std::string, std::less<>> contents_;
  std::set<std::string, std::less<>> damaged_;  // Also of keys that were erased meanwhile.

  // Of the present process.
  internal::SimProcess* process_ = nullptr;
  Writes under_way_;
  Writes waiting_;
  uint64_t event_ = 0;  // The end of what is under way.
  std::string failed_;  // Why every write rejects.
};

}  // namespace troupe
