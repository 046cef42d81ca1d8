// SimDisk: the disk of one simulated machine: named records in memory, and what can go wrong. What
// a RecordStore keeps on it is in sim_record_store.h.
//
// A write is under way for a random time; a crash during it leaves the old or the new contents,
// each as likely. It outlives the processes that use it, one at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kj/memory.h"
#include "troupe/runtime/data_directory.h"
#include "troupe/runtime/random.h"

namespace troupe {

class RecordStore;
class SimRecords;

enum class SimDiskFault {
  kFail,   // Writes reject, leaving old or new contents; reads are Unavailable.
  kFull,   // Writes reject, leaving the old contents.
  kStall,  // Writes make no progress until the fault is cleared.
  kTorn,   // A crash during a write may leave a damaged record; not one of a RecordStore.
};

namespace internal {
class SimProcess;
class SimDirectory;
class SimDiskWrite;
}  // namespace internal

class SimDisk {
 public:
  SimDisk(std::string name, Random random);
  ~SimDisk();

  // Takes the lock, for as long as the process lives. FailedPrecondition when another one has it.
  absl::StatusOr<kj::Own<DataDirectory>> Open(internal::SimProcess& process);

  // Of the process that has the lock, and as long as it lives.
  kj::Own<RecordStore> OpenRecords(internal::SimProcess& process);

  void Set(SimDiskFault fault) { faults_.insert(fault); }
  void Clear(SimDiskFault fault);
  // Rot: the record, if there is one, reads as DataLoss until written again.
  void Damage(std::string_view record);
  void Erase();
  // What an operator does who copies or restores a data directory; no process uses this one.
  void CopyFrom(const SimDisk& other);

  // What a crash now would leave of a record at the least; nothing: it is not there, or damaged.
  std::optional<std::vector<std::byte>> Contents(std::string_view record) const;

  // What the RecordStore keeps here.
  SimRecords& record_store() { return *record_store_; }

  // The process ends: writes under way end in one way or the other, the lock is free.
  void Crash(internal::SimProcess& process);

  absl::Duration write_min = absl::Microseconds(100);
  absl::Duration write_max = absl::Milliseconds(5);

 private:
  friend class internal::SimDirectory;
  friend class internal::SimDiskWrite;
  friend class SimRecords;
  struct Record {
    std::optional<std::vector<std::byte>> contents;
    bool damaged = false;
    std::deque<std::shared_ptr<internal::SimDiskWrite>> writes;  // The first is under way.
  };

  absl::StatusOr<std::optional<std::vector<std::byte>>> Read(std::string_view name);
  void Begin(const std::string& name);
  absl::Duration WriteTime(Random& random) const;
  void Finish(const std::string& name);
  bool Has(SimDiskFault fault) const { return faults_.contains(fault); }

  static uint64_t BirthOf(std::string_view name);

  std::string name_;
  Random random_;
  uint64_t birth_;  // Not copied with the records.
  internal::SimProcess* holder_ = nullptr;
  std::set<SimDiskFault> faults_;
  std::map<std::string, Record, std::less<>> records_;
  std::unique_ptr<SimRecords> record_store_;
};

}  // namespace troupe
