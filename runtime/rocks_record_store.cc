#include "troupe/runtime/rocks_record_store.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kj/debug.h"
#include "kj/exception.h"
#include "kj/string.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/internal/record_files.h"
#include "troupe/runtime/thread_name.h"

namespace troupe {
namespace {

size_t BytesOf(const RecordChange& change) {
  if (auto* put = std::get_if<PutRecord>(&change)) return put->key.size() + put->value.size();
  if (auto* erase = std::get_if<EraseRecord>(&change)) return erase->key.size();
  const auto& range = std::get<EraseRecords>(change);
  return range.begin.size() + range.end.size();
}

}  // namespace

struct RocksRecordStore::Job {
  std::vector<RecordChange> changes;
  size_t bytes = 0;
  Host* host = nullptr;
  Waiter* waiter = nullptr;  // Of the host's loop alone; null when nobody waits any more.
};

class RocksRecordStore::Waiter {
 public:
  Waiter(kj::PromiseFulfiller<void>& fulfiller, std::shared_ptr<Job> job)
      : fulfiller_(fulfiller), job_(std::move(job)) {
    job_->waiter = this;
  }
  ~Waiter() noexcept { job_->waiter = nullptr; }
  void Done(const absl::Status& status) {
    if (status.ok()) {
      fulfiller_.fulfill();
    } else {
      fulfiller_.reject(kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                                      kj::heapString(std::string(status.message()).c_str())));
    }
  }

 private:
  kj::PromiseFulfiller<void>& fulfiller_;
  const std::shared_ptr<Job> job_;
};

RocksRecordStore::RocksRecordStore(std::string path)
    : files_(std::make_unique<RecordFiles>(std::move(path))) {}

RocksRecordStore::~RocksRecordStore() noexcept(false) { Close(); }

void RocksRecordStore::Close() {
  files_->EndScans();
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  if (writer_.joinable()) writer_.join();
  files_->Close();
}

kj::Promise<void> RocksRecordStore::Write(Host& host, std::vector<RecordChange> changes) {
  auto job = std::make_shared<Job>();
  for (const RecordChange& change : changes) job->bytes += BytesOf(change);
  job->changes = std::move(changes);
  job->host = &host;
  auto promise = kj::newAdaptedPromise<void, Waiter>(job);
  std::lock_guard lock(mutex_);
  if (ended_) return KJ_EXCEPTION(FAILED, "the record store is closed");
  waiting_.push_back(std::move(job));
  if (!writer_.joinable()) writer_ = std::thread([this] { Run(); });
  changed_.notify_one();
  return promise;
}

absl::Status RocksRecordStore::Scan(
    std::string_view begin, std::string_view end,
    const std::function<void(std::string_view key, std::string_view value)>& show) {
  return files_->Scan(begin, end, show);
}

void RocksRecordStore::Run() {
  SetThreadName("records");
  for (Jobs jobs = TakeBatch(); !jobs.empty(); jobs = TakeBatch()) WriteBatch(jobs);
}

// Empty: at the end.
RocksRecordStore::Jobs RocksRecordStore::TakeBatch() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
  Jobs jobs;
  size_t bytes = 0;
  while (!waiting_.empty()) {
    bytes += waiting_.front()->bytes;
    if (!jobs.empty() && bytes > kBatchBytesMax) break;
    jobs.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return jobs;
}

void RocksRecordStore::WriteBatch(const Jobs& jobs) {
  if (failed_.ok()) {
    std::vector<RecordChange> changes;
    for (const auto& job : jobs) {
      std::move(job->changes.begin(), job->changes.end(), std::back_inserter(changes));
      job->changes.clear();
    }
    failed_ = files_->Write(changes);
  }
  Resolve(jobs, failed_);
}

// One post to each loop.
void RocksRecordStore::Resolve(const Jobs& jobs, const absl::Status& status) {
  std::vector<std::pair<Host*, Jobs>> by_host;
  for (const auto& job : jobs) {
    auto of_host = std::find_if(by_host.begin(), by_host.end(),
                                [&](const auto& entry) { return entry.first == job->host; });
    if (of_host == by_host.end()) of_host = by_host.insert(by_host.end(), {job->host, {}});
    of_host->second.push_back(job);
  }
  for (auto& [host, done] : by_host) {
    // Refused when the loop has stopped: then nobody waits.
    host->PostControl([status, done = std::move(done)] {
      for (const auto& job : done) {
        if (job->waiter != nullptr) job->waiter->Done(status);
      }
    });
  }
}

}  // namespace troupe
