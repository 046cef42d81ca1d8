// UvMachine: the production Machine: threads with libuv loops, real sockets, files and clocks.
//
// The control loop runs on the thread that creates the machine, which then waits on wait_scope().
// Threads: as Machine says. Everything made on a Host is destroyed before its loop is: before
// StopWorkers() returns, or before the machine.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kj/async.h"
#include "kj/memory.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/work_pool.h"

namespace troupe {

class RocksRecordStore;
class UvHost;

struct UvMachineOptions {
  std::string node;  // The name in the log.
  std::optional<std::string> data_directory =
      std::nullopt;  // A path; without one nothing is kept on disk.
  LogSink* log = &StandardErrorLog();
};

class UvMachine final : public Machine {
 public:
  // Errors: FailedPrecondition when another process uses the data directory; Unavailable and
  // PermissionDenied when it cannot be opened.
  static absl::StatusOr<kj::Own<UvMachine>> Create(UvMachineOptions options);
  UvMachine(kj::Badge<UvMachine>, UvMachineOptions options);  // Use Create().
  ~UvMachine() noexcept(false);

  kj::WaitScope& wait_scope();

  Host& control() override;
  kj::Promise<void> StartWorkers(
      size_t count, kj::Function<kj::Own<WorkerBody>(size_t index, Host& host)> make) override;
  void StopWorkers() override;
  size_t worker_count() const override { return workers_.size(); }
  Host& worker(size_t index) override;
  DataDirectory* data_directory() override { return data_directory_.get(); }
  RecordStore* record_store() override;
  ProcessIdentity process() const override;
  std::optional<kj::Promise<void>> WatchExit(const ProcessIdentity& process) override;
  kj::Promise<void> Offload(kj::Function<void()> work) override;

  // The first of `signals` that arrives. Their default action is back afterwards, so that a second
  // Ctrl-C ends a process that hangs while it leaves. On the control loop.
  kj::Promise<int> OnSignal(std::initializer_list<int> signals);

 private:
  struct Starting;
  struct Worker;
  void RunWorker(size_t index);
  void WorkerStarted(uint64_t start, const kj::Maybe<kj::Exception>& failure);

  const UvMachineOptions options_;
  std::unique_ptr<RocksRecordStore> record_store_;  // In `records`. Outlives work on the pool.
  WorkPool pool_;
  std::unique_ptr<UvHost> control_;
  kj::Own<DataDirectory> data_directory_;
  std::unique_ptr<Starting> starting_;
  uint64_t starts_ = 0;
  std::vector<std::unique_ptr<Worker>> former_workers_;
  std::vector<std::unique_ptr<Worker>> workers_;  // Stay, stopped, until the end: others may post.
};

}  // namespace troupe
