#include "troupe/runtime/sim_disk.h"

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/internal/sim_process.h"
#include "troupe/runtime/sim_record_store.h"

namespace troupe {
namespace internal {

// A write that was asked for; the caller may have stopped waiting, the disk goes on.
class SimDiskWrite {
 public:
  explicit SimDiskWrite(std::vector<std::byte> c) : contents(std::move(c)) {}
  std::vector<std::byte> contents;
  SimSchedule::Id event = 0;
  class SimDiskWait* waiting = nullptr;
};

class SimDiskWait {
 public:
  SimDiskWait(kj::PromiseFulfiller<void>& f, std::shared_ptr<SimDiskWrite> write)
      : fulfiller(f), write_(std::move(write)) {
    write_->waiting = this;
  }
  ~SimDiskWait() noexcept { write_->waiting = nullptr; }
  kj::PromiseFulfiller<void>& fulfiller;

 private:
  std::shared_ptr<SimDiskWrite> write_;
};

class SimDirectory final : public DataDirectory {
 public:
  SimDirectory(SimDisk& disk, SimProcess& process) : disk_(disk), process_(process) {}
  ~SimDirectory() noexcept(false) {
    if (disk_.holder_ == &process_) disk_.Crash(process_);
  }

  uint64_t Birth() const override { return disk_.birth_; }
  absl::StatusOr<std::optional<std::vector<std::byte>>> Read(std::string_view name) override {
    return disk_.Read(name);
  }

  kj::Promise<void> Write(std::string_view name, std::vector<std::byte> contents) override {
    if (process_.dead()) return kj::NEVER_DONE;
    std::string key(name);
    auto write = std::make_shared<SimDiskWrite>(std::move(contents));
    auto promise = kj::newAdaptedPromise<void, SimDiskWait>(write);
    auto& writes = disk_.records_[key].writes;
    writes.push_back(std::move(write));
    if (writes.size() == 1) disk_.Begin(key);
    return promise;
  }

 private:
  SimDisk& disk_;
  SimProcess& process_;
};

}  // namespace internal

SimDisk::SimDisk(std::string name, Random random)
    : name_(std::move(name)),
      random_(random),
      birth_(BirthOf(name_)),
      record_store_(std::make_unique<SimRecords>(*this, random.Fork("record store"))) {}

SimDisk::~SimDisk() = default;

kj::Own<RecordStore> SimDisk::OpenRecords(internal::SimProcess& process) {
  return record_store_->Open(process);
}

absl::StatusOr<kj::Own<DataDirectory>> SimDisk::Open(internal::SimProcess& process) {
  if (holder_ != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("disk ", name_, " is in use by the process on ", holder_->computer().name));
  }
  holder_ = &process;
  return kj::Own<DataDirectory>(kj::heap<internal::SimDirectory>(*this, process));
}

// FNV-1a: the same in every build.
uint64_t SimDisk::BirthOf(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3ull;
  return hash | 1;
}

void SimDisk::Clear(SimDiskFault fault) {
  faults_.erase(fault);
  if (fault != SimDiskFault::kStall || holder_ == nullptr) return;
  for (auto& [name, record] : records_) {
    if (!record.writes.empty() && record.writes.front()->event == 0) Begin(name);
  }
  record_store_->Begin();
}

void SimDisk::Erase() {
  records_.clear();
  record_store_->Erase();
}

std::optional<std::vector<std::byte>> SimDisk::Contents(std::string_view record) const {
  auto it = records_.find(record);
  if (it == records_.end() || it->second.damaged) return std::nullopt;
  return it->second.contents;
}

void SimDisk::Damage(std::string_view record) {
  auto it = records_.find(record);
  if (it != records_.end()) it->second.damaged = it->second.contents.has_value();
}

void SimDisk::CopyFrom(const SimDisk& other) {
  records_.clear();
  for (const auto& [name, record] : other.records_) {
    records_[name].contents = record.contents;
    records_[name].damaged = record.damaged;
  }
  record_store_->CopyFrom(*other.record_store_);
}

absl::StatusOr<std::optional<std::vector<std::byte>>> SimDisk::Read(std::string_view name) {
  std::string text(name);
  if (Has(SimDiskFault::kFail)) {
    return absl::UnavailableError(absl::StrCat("reading ", text, ": input/output error"));
  }
  auto record = records_.find(name);
  if (record == records_.end()) return std::optional<std::vector<std::byte>>();
  if (record->second.damaged) {
    return absl::DataLossError(absl::StrCat(text, ": the checksum does not match"));
  }
  return record->second.contents;
}

void SimDisk::Begin(const std::string& name) {
  if (Has(SimDiskFault::kStall)) return;
  auto& write = *records_[name].writes.front();
  write.event = holder_->schedule().After(WriteTime(random_), internal::SimEvent::kDisk, nullptr,
                                          [this, name]() { Finish(name); });
}

absl::Duration SimDisk::WriteTime(Random& random) const {
  int64_t span = absl::ToInt64Nanoseconds(write_max - write_min);
  return write_min + absl::Nanoseconds(static_cast<int64_t>(
                         random.Below(static_cast<uint64_t>(std::max<int64_t>(span, 0)) + 1)));
}

void SimDisk::Finish(const std::string& name) {
  auto& record = records_[name];
  auto write = record.writes.front();
  write->event = 0;
  if (Has(SimDiskFault::kStall)) return;  // Began before the fault; Clear() begins it again.
  record.writes.pop_front();
  auto& process = *holder_;
  process.schedule().Mix(write->contents);
  bool failed = Has(SimDiskFault::kFail) || Has(SimDiskFault::kFull);
  if (!failed || (Has(SimDiskFault::kFail) && random_.Below(2) == 0)) {
    record.contents = std::move(write->contents);
    record.damaged = false;
  }
  const char* error = Has(SimDiskFault::kFull) ? "no space left on device" : "input/output error";
  process.schedule().Wake(process, [write, failed, error, name]() {
    if (write->waiting == nullptr) return;
    if (failed) {
      write->waiting->fulfiller.reject(
          KJ_EXCEPTION(FAILED, "writing a record", name.c_str(), error));
    } else {
      write->waiting->fulfiller.fulfill();
    }
  });
  if (!record.writes.empty()) Begin(name);
}

void SimDisk::Crash(internal::SimProcess& process) {
  if (holder_ != &process) return;
  for (auto& [name, record] : records_) {
    if (record.writes.empty()) continue;
    auto& write = *record.writes.front();
    bool began = write.event != 0;
    for (auto& waiting : record.writes) process.schedule().Cancel(waiting->event);
    uint64_t luck = random_.Below(4);
    if (began && luck < 2) {
      record.contents = std::move(write.contents);
      record.damaged = false;
    } else if (began && luck == 2 && Has(SimDiskFault::kTorn)) {
      record.contents.emplace();  // Otherwise what was torn is the temporary file.
      record.damaged = true;
    }
    record.writes.clear();
  }
  record_store_->Crash(process);
  holder_ = nullptr;
}

}  // namespace troupe
