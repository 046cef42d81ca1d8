// SimHost and SimMachine: the seam of one simulated process: a control loop and workers, all on the
// world's one event loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "troupe/runtime/host.h"
#include "troupe/runtime/internal/sim_fabric.h"
#include "troupe/runtime/internal/sim_process.h"

namespace troupe::internal {

class SimHost final : public Host {
 public:
  SimHost(SimProcess& process, SimFabric& fabric, Random random, Log log)
      : process_(process), random_(random), network_(fabric, process), log_(std::move(log)) {}

  Clock& clock() override { return process_; }
  kj::Timer& timer() override { return process_; }
  Random& random() override { return random_; }
  Network& network() override { return network_; }
  const Log& log() const override { return log_; }
  Id128 RandomId() override { return random_.NextId(); }
  bool Post(kj::Function<void()> work) override;
  bool PostControl(kj::Function<void()> work) override;
  absl::Duration SinceLook() const override { return absl::ZeroDuration(); }
  kj::Promise<void> Offload(kj::Function<void()> work) override;

  void Stop() { stopped_ = true; }

 private:
  void Enqueue(kj::Function<void()> work, size_t counts);

  SimProcess& process_;
  Random random_;
  SimNetwork network_;
  Log log_;
  bool stopped_ = false;
  size_t inbox_ = 0;
};

class SimExitWait;

// Who lives on which computer, for WatchExit.
struct SimExits {
  bool same_host = false;
  struct Run {
    SimProcess* process;
    std::vector<SimExitWait*> watchers;
  };
  std::map<int64_t, Run> runs;  // By pid.
};

class SimMachine final : public Machine {
 public:
  SimMachine(SimProcess& process, SimFabric& fabric, SimExits& exits, LogSink& log,
             kj::Own<DataDirectory> directory, kj::Own<RecordStore> records);
  ~SimMachine() noexcept(false);

  Host& control() override { return control_; }
  kj::Promise<void> StartWorkers(
      size_t count, kj::Function<kj::Own<WorkerBody>(size_t index, Host& host)> make) override;
  void StopWorkers() override;
  size_t worker_count() const override { return workers_.size(); }
  Host& worker(size_t index) override { return *workers_.at(index); }
  DataDirectory* data_directory() override { return directory_.get(); }
  RecordStore* record_store() override { return records_.get(); }
  ProcessIdentity process() const override;
  std::optional<kj::Promise<void>> WatchExit(const ProcessIdentity& process) override;
  kj::Promise<void> Offload(kj::Function<void()> work) override;

  SimProcess& sim_process() { return process_; }
  // After the process was killed and its owner has let go.
  void Dispose();

 private:
  kj::Own<SimHost> MakeHost(const std::string& role);

  SimProcess& process_;
  SimFabric& fabric_;
  SimExits& exits_;
  LogSink& log_;
  kj::Own<SimHost> control_own_;
  SimHost& control_;
  kj::Own<DataDirectory> directory_;
  kj::Own<RecordStore> records_;
  kj::Maybe<kj::Function<kj::Own<WorkerBody>(size_t, Host&)>> make_;
  std::vector<kj::Own<SimHost>> workers_;
  std::vector<kj::Own<SimHost>> former_workers_;
  std::vector<kj::Own<WorkerBody>> bodies_;
};

}  // namespace troupe::internal
