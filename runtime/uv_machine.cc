#include "troupe/runtime/uv_machine.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/file_data_directory.h"
#include "troupe/runtime/internal/uv_host.h"
#include "troupe/runtime/process_watch.h"
#include "troupe/runtime/rocks_record_store.h"
#include "troupe/runtime/signals.h"
#include "troupe/runtime/thread_name.h"

namespace troupe {

// What the workers share while they start. Lives, and dies, with the control loop's thread.
struct UvMachine::Starting {
  std::mutex mutex;  // `make` is called by one worker at a time.
  kj::Function<kj::Own<WorkerBody>(size_t, Host&)> make;
  size_t outstanding;
  kj::Own<kj::PromiseFulfiller<void>> result;
  kj::Maybe<kj::Exception> failure;
  uint64_t number;  // Of this start: what the workers of a stopped one still say is not about it.
};

struct UvMachine::Worker {
  Worker(LogSink& sink, const std::string& node, WorkPool& pool) : host(sink, node, pool) {}
  UvHost host;
  kj::Own<kj::PromiseFulfiller<void>> stop;  // The worker thread's own.
  std::thread thread;
};

absl::StatusOr<kj::Own<UvMachine>> UvMachine::Create(UvMachineOptions options) {
  auto machine = kj::heap<UvMachine>(kj::Badge<UvMachine>(), std::move(options));
  if (machine->options_.data_directory.has_value()) {
    auto opened =
        FileDataDirectory::Open(*machine->options_.data_directory, machine->control_->port());
    if (!opened.ok()) return opened.status();
    machine->data_directory_ = std::move(*opened);
    machine->record_store_ = std::make_unique<RocksRecordStore>(
        absl::StrCat(*machine->options_.data_directory, "/records"));
  }
  return machine;
}

UvMachine::UvMachine(kj::Badge<UvMachine>, UvMachineOptions options)
    : options_(std::move(options)),
      control_(std::make_unique<UvHost>(*options_.log, options_.node, pool_)) {
  control_->Enter();
}

UvMachine::~UvMachine() noexcept(false) {
  StopWorkers();
  starting_ = nullptr;
  if (record_store_ != nullptr) record_store_->Close();  // While the directory is locked.
  data_directory_ = nullptr;
  control_->Leave();
}

RecordStore* UvMachine::record_store() { return record_store_.get(); }

kj::WaitScope& UvMachine::wait_scope() { return control_->wait_scope(); }

Host& UvMachine::control() { return *control_; }

Host& UvMachine::worker(size_t index) { return workers_.at(index)->host; }

kj::Promise<void> UvMachine::StartWorkers(
    size_t count, kj::Function<kj::Own<WorkerBody>(size_t index, Host& host)> make) {
  const bool stopped = std::none_of(workers_.begin(), workers_.end(),
                                    [](auto& worker) { return worker->thread.joinable(); });
  KJ_REQUIRE(stopped, "workers are started again only once they were stopped");
  std::move(workers_.begin(), workers_.end(), std::back_inserter(former_workers_));
  workers_.clear();
  auto paf = kj::newPromiseAndFulfiller<void>();
  starting_ = std::unique_ptr<Starting>(
      new Starting{{}, kj::mv(make), count, kj::mv(paf.fulfiller), nullptr, ++starts_});
  if (count == 0) starting_->result->fulfill();
  // All hosts exist before the first body does, because bodies post to each other.
  for (size_t i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(*options_.log, options_.node, pool_));
  }
  for (size_t i = 0; i < count; ++i) {
    workers_[i]->thread = std::thread([this, i] { RunWorker(i); });
  }
  return kj::mv(paf.promise);
}

void UvMachine::RunWorker(size_t index) {
  SetThreadName(absl::StrCat("worker-", index));
  Worker& self = *workers_[index];
  self.host.Enter();
  {
    auto stop = kj::newPromiseAndFulfiller<void>();
    self.stop = kj::mv(stop.fulfiller);
    kj::Own<WorkerBody> body;
    const uint64_t start = starting_->number;
    kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions([&]() {
      std::lock_guard lock(starting_->mutex);
      body = starting_->make(index, self.host);
    });
    control_->PostControl(
        [this, start, failure = kj::mv(failure)]() { WorkerStarted(start, failure); });
    stop.promise.wait(self.host.wait_scope());
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { body = nullptr; })) {
      self.host.log().Error("worker body failed while it was destroyed",
                            {{"worker", index}, {"error", e->getDescription().cStr()}});
    }
    self.stop = nullptr;
  }
  self.host.Leave();
}

void UvMachine::WorkerStarted(uint64_t start, const kj::Maybe<kj::Exception>& failure) {
  if (start != starting_->number) return;
  if (starting_->failure == nullptr) {
    KJ_IF_MAYBE (e, failure) {
      starting_->failure = kj::cp(*e);
    }
  }
  if (--starting_->outstanding > 0) return;
  KJ_IF_MAYBE (e, starting_->failure) {
    starting_->result->reject(kj::cp(*e));
  } else {
    starting_->result->fulfill();
  }
}

void UvMachine::StopWorkers() {
  for (auto& worker : workers_) {
    worker->host.PostControl([&self = *worker]() { self.stop->fulfill(); });
  }
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

ProcessIdentity UvMachine::process() const { return OwnProcess(); }

std::optional<kj::Promise<void>> UvMachine::WatchExit(const ProcessIdentity& process) {
  return WatchProcessExit(control_->port(), process);
}

kj::Promise<void> UvMachine::Offload(kj::Function<void()> work) {
  return UvEventPort::Current().Offload(kj::mv(work));
}

kj::Promise<int> UvMachine::OnSignal(std::initializer_list<int> signals) {
  return NextSignal(control_->port(), signals);
}

}  // namespace troupe
