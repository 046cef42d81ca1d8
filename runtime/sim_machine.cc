#include "troupe/runtime/internal/sim_machine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"

namespace troupe::internal {
namespace {

constexpr absl::Duration kPostDelay = absl::Microseconds(1);  // So that posts cannot stop time.

// Work on the thread pool: runs after a while, is forgotten when nobody waits.
class SimOffload {
 public:
  SimOffload(kj::PromiseFulfiller<void>& fulfiller, SimProcess& process, kj::Function<void()> work)
      : process_(process) {
    auto delay = absl::Microseconds(100 + static_cast<int64_t>(process.random().Below(3000)));
    event_ = process.schedule().After(delay, SimEvent::kOffload, &process,
                                      [this, &fulfiller, work = kj::mv(work)]() mutable {
                                        event_ = 0;
                                        if (fulfiller.rejectIfThrows(work)) fulfiller.fulfill();
                                      });
  }
  ~SimOffload() noexcept { process_.schedule().Cancel(event_); }

 private:
  SimProcess& process_;
  SimSchedule::Id event_ = 0;
};

}  // namespace

class SimExitWait {
 public:
  SimExitWait(kj::PromiseFulfiller<void>& fulfiller, SimProcess& watcher, SimExits::Run& run)
      : fulfiller_(fulfiller), watcher_(watcher), run_(run) {
    run_.watchers.push_back(this);
  }
  ~SimExitWait() noexcept {
    watcher_.schedule().Cancel(event_);
    std::erase(run_.watchers, this);
  }
  void Ended() {
    auto delay = absl::Microseconds(50 + static_cast<int64_t>(watcher_.random().Below(450)));
    event_ = watcher_.schedule().After(delay, SimEvent::kExit, &watcher_, [this]() {
      event_ = 0;
      fulfiller_.fulfill();
    });
  }

 private:
  kj::PromiseFulfiller<void>& fulfiller_;
  SimProcess& watcher_;
  SimExits::Run& run_;
  SimSchedule::Id event_ = 0;
};

bool SimHost::Post(kj::Function<void()> work) {
  if (stopped_ || process_.dead() || inbox_ >= kInboxBound) return false;
  ++inbox_;
  Enqueue(kj::mv(work), 1);
  return true;
}

bool SimHost::PostControl(kj::Function<void()> work) {
  if (stopped_ || process_.dead()) return false;
  Enqueue(kj::mv(work), 0);
  return true;
}

void SimHost::Enqueue(kj::Function<void()> work, size_t counts) {
  process_.schedule().After(kPostDelay, SimEvent::kPost, &process_,
                            [this, counts, work = kj::mv(work)]() mutable {
                              inbox_ -= counts;
                              if (!stopped_) work();
                            });
}

SimMachine::SimMachine(SimProcess& process, SimFabric& fabric, SimExits& exits, LogSink& log,
                       kj::Own<DataDirectory> directory, kj::Own<RecordStore> records)
    : process_(process),
      fabric_(fabric),
      exits_(exits),
      log_(log),
      control_own_(MakeHost("control")),
      control_(*control_own_),
      directory_(kj::mv(directory)),
      records_(kj::mv(records)) {
  exits_.runs[static_cast<int64_t>(process_.gate_id())].process = &process_;
}

SimMachine::~SimMachine() noexcept(false) {}

kj::Own<SimHost> SimMachine::MakeHost(const std::string& role) {
  return kj::heap<SimHost>(process_, fabric_, process_.random().Fork(role),
                           Log(log_, process_.computer().name));
}

kj::Promise<void> SimMachine::StartWorkers(
    size_t count, kj::Function<kj::Own<WorkerBody>(size_t index, Host& host)> make) {
  KJ_REQUIRE(workers_.empty(), "StartWorkers() is called once, or again after StopWorkers()");
  make_ = kj::mv(make);
  bodies_.resize(count);
  auto started = kj::heapArrayBuilder<kj::Promise<void>>(count);
  for (size_t i = 0; i < count; ++i) {
    workers_.push_back(MakeHost(absl::StrCat("worker", i)));
    auto paf = kj::newPromiseAndFulfiller<void>();
    started.add(kj::mv(paf.promise));
    workers_[i]->PostControl([this, i, fulfiller = kj::mv(paf.fulfiller)]() mutable {
      bool made = fulfiller->rejectIfThrows([&]() {
        KJ_IF_MAYBE (make, make_) bodies_[i] = (*make)(i, *workers_[i]);
      });
      if (made) fulfiller->fulfill();
    });
  }
  return kj::joinPromises(started.finish());
}

void SimMachine::StopWorkers() {
  for (auto& host : workers_) host->Stop();
  for (auto& body : bodies_) body = nullptr;
  bodies_.clear();
  for (auto& host : workers_) former_workers_.push_back(kj::mv(host));
  workers_.clear();
}

void SimMachine::Dispose() {
  StopWorkers();
  make_ = nullptr;
  auto run = exits_.runs.find(static_cast<int64_t>(process_.gate_id()));
  if (run == exits_.runs.end()) return;
  run->second.process = nullptr;
  for (auto* watcher : run->second.watchers) watcher->Ended();
}

ProcessIdentity SimMachine::process() const {
  uint64_t computer = exits_.same_host ? 1 : process_.computer().index + 1;
  return ProcessIdentity{static_cast<int64_t>(process_.gate_id()), process_.gate_id() * 100,
                         computer, computer};
}

std::optional<kj::Promise<void>> SimMachine::WatchExit(const ProcessIdentity& process) {
  auto self = this->process();
  if (process.pid == 0 || process.boot_id_hash != self.boot_id_hash ||
      process.pid_namespace != self.pid_namespace) {
    return std::nullopt;
  }
  auto run = exits_.runs.find(process.pid);
  if (run == exits_.runs.end() || run->second.process == nullptr) return std::nullopt;
  return kj::newAdaptedPromise<void, SimExitWait>(process_, run->second);
}

kj::Promise<void> SimHost::Offload(kj::Function<void()> work) {
  if (process_.dead()) return kj::NEVER_DONE;
  return kj::newAdaptedPromise<void, SimOffload>(process_, kj::mv(work));
}

kj::Promise<void> SimMachine::Offload(kj::Function<void()> work) {
  if (process_.dead()) return kj::NEVER_DONE;
  return kj::newAdaptedPromise<void, SimOffload>(process_, kj::mv(work));
}

}  // namespace troupe::internal
