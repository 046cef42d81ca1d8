#include "troupe/runtime/sim_record_store.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/internal/sim_process.h"
#include "troupe/runtime/sim_disk.h"

namespace troupe {
namespace internal {

class SimRecordWait;

// A write that was asked for; the caller may have stopped waiting, the disk goes on.
struct SimRecordWrite {
  Host* host;
  std::vector<RecordChange> changes;
  SimRecordWait* waiting = nullptr;
};

class SimRecordWait {
 public:
  SimRecordWait(kj::PromiseFulfiller<void>& f, std::shared_ptr<SimRecordWrite> write)
      : fulfiller(f), write_(std::move(write)) {
    write_->waiting = this;
  }
  ~SimRecordWait() noexcept { write_->waiting = nullptr; }
  kj::PromiseFulfiller<void>& fulfiller;

 private:
  std::shared_ptr<SimRecordWrite> write_;
};

class SimRecordStore final : public RecordStore {
 public:
  SimRecordStore(SimRecords& records, SimProcess& process) : records_(records), process_(process) {}

  kj::Promise<void> Write(Host& host, std::vector<RecordChange> changes) override {
    if (process_.dead()) return kj::NEVER_DONE;
    return records_.Write(process_, host, std::move(changes));
  }
  absl::Status Scan(
      std::string_view begin, std::string_view end,
      const std::function<void(std::string_view key, std::string_view value)>& show) override {
    return records_.Scan(begin, end, show);
  }

 private:
  SimRecords& records_;
  SimProcess& process_;
};

}  // namespace internal

namespace {

kj::Exception Failure(const std::string& text) {
  return kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                       kj::heapString(text.c_str()));
}

void Mix(internal::SimSchedule& schedule, std::string_view text) {
  schedule.Mix(std::as_bytes(std::span(text)));
}

void Mix(internal::SimSchedule& schedule, const RecordChange& change) {
  schedule.Mix(change.index());
  if (auto* put = std::get_if<PutRecord>(&change)) {
    Mix(schedule, put->key);
    Mix(schedule, put->value);
  } else if (auto* erase = std::get_if<EraseRecord>(&change)) {
    Mix(schedule, erase->key);
  } else {
    Mix(schedule, std::get<EraseRecords>(change).begin);
    Mix(schedule, std::get<EraseRecords>(change).end);
  }
}

}  // namespace

SimRecords::SimRecords(SimDisk& disk, Random random) : disk_(disk), random_(random) {}
SimRecords::~SimRecords() = default;

kj::Own<RecordStore> SimRecords::Open(internal::SimProcess& process) {
  process_ = &process;
  failed_.clear();
  return kj::heap<internal::SimRecordStore>(*this, process);
}

void SimRecords::Damage(std::string_view key) {
  if (contents_.contains(key)) damaged_.emplace(key);
}

void SimRecords::Erase() {
  contents_.clear();
  damaged_.clear();
}

void SimRecords::CopyFrom(const SimRecords& other) {
  contents_ = other.contents_;
  damaged_ = other.damaged_;
}

absl::Status SimRecords::Scan(
    std::string_view begin, std::string_view end,
    const std::function<void(std::string_view key, std::string_view value)>& show) const {
  if (disk_.Has(SimDiskFault::kFail)) {
    return absl::UnavailableError(
        absl::StrCat("the record store of ", disk_.name_, " cannot be used: input/output error"));
  }
  for (auto record = contents_.lower_bound(begin); record != contents_.end() && record->first < end;
       ++record) {
    if (damaged_.contains(record->first)) {
      return absl::DataLossError(
          absl::StrCat("the record store of ", disk_.name_, " is damaged: checksum mismatch"));
    }
    show(record->first, record->second);
  }
  return absl::OkStatus();
}

kj::Promise<void> SimRecords::Write(internal::SimProcess& process, Host& host,
                                    std::vector<RecordChange> changes) {
  KJ_REQUIRE(process_ == &process, "the disk is another process's");
  if (!failed_.empty()) return Failure(failed_);
  auto write = std::make_shared<internal::SimRecordWrite>(
      internal::SimRecordWrite{&host, std::move(changes)});
  auto promise = kj::newAdaptedPromise<void, internal::SimRecordWait>(write);
  waiting_.push_back(std::move(write));
  Begin();
  return promise;
}

void SimRecords::Begin() {
  if (event_ != 0 || process_ == nullptr) return;
  if (under_way_.empty()) under_way_ = std::exchange(waiting_, {});
  if (under_way_.empty()) return;
  event_ = process_->schedule().After(disk_.WriteTime(random_), internal::SimEvent::kDisk, nullptr,
                                      [this]() { Finish(); });
}

void SimRecords::Finish() {
  event_ = 0;
  if (disk_.Has(SimDiskFault::kStall)) return;  // Until Clear() begins it again.
  Writes done = std::exchange(under_way_, {});
  const bool full = disk_.Has(SimDiskFault::kFull), failing = disk_.Has(SimDiskFault::kFail);
  if (full || failing) {
    failed_ =
        absl::StrCat("the record store of ", disk_.name_,
                     " cannot be used: ", full ? "no space left on device" : "input/output error");
    if (!full) DoPrefixes(done);
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(done));
    waiting_.clear();
  }
  for (auto& write : done) {
    for (const RecordChange& change : write->changes) Mix(process_->schedule(), change);
    if (failed_.empty()) Do(write->changes);
    write->host->PostControl([write, failed = failed_]() {
      if (write->waiting == nullptr) return;
      if (failed.empty()) {
        write->waiting->fulfiller.fulfill();
      } else {
        write->waiting->fulfiller.reject(Failure(failed));
      }
    });
  }
  Begin();
}

void SimRecords::DoPrefixes(const Writes& writes) {
  struct Loop {
    Host* host;
    uint64_t writes = 0;
    uint64_t kept = 0;
  };
  std::vector<Loop> loops;  // In the order of their first writes, which the seed gives.
  auto of = [&](Host* host) -> Loop& {
    auto loop = std::find_if(loops.begin(), loops.end(), [&](auto& l) { return l.host == host; });
    return loop != loops.end() ? *loop : loops.emplace_back(Loop{host});
  };
  for (auto& write : writes) ++of(write->host).writes;
  for (Loop& loop : loops) loop.kept = random_.Below(loop.writes + 1);
  for (auto& write : writes) {
    if (of(write->host).kept == 0) continue;
    --of(write->host).kept;
    Do(write->changes);
  }
}

void SimRecords::Do(const std::vector<RecordChange>& changes) {
  for (const RecordChange& change : changes) {
    if (auto* put = std::get_if<PutRecord>(&change)) {
      contents_[put->key] = put->value;
      damaged_.erase(put->key);
    } else if (auto* erase = std::get_if<EraseRecord>(&change)) {
      contents_.erase(erase->key);
    } else {
      const auto& range = std::get<EraseRecords>(change);
      if (range.begin >= range.end) continue;
      contents_.erase(contents_.lower_bound(range.begin), contents_.lower_bound(range.end));
    }
  }
}

void SimRecords::Crash(internal::SimProcess& process) {
  if (process_ != &process) return;
  process.schedule().Cancel(std::exchange(event_, 0));
  Writes lost = std::exchange(under_way_, {});
  std::move(waiting_.begin(), waiting_.end(), std::back_inserter(lost));
  waiting_.clear();
  if (!disk_.Has(SimDiskFault::kFull)) DoPrefixes(lost);
  process_ = nullptr;
}

}  // namespace troupe
