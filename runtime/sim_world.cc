#include "troupe/runtime/sim_world.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/internal/sim_fabric.h"
#include "troupe/runtime/internal/sim_machine.h"
#include "troupe/runtime/internal/sim_process.h"
#include "troupe/runtime/internal/sim_schedule.h"

namespace troupe {
namespace {

using internal::SimComputer;
using internal::SimEvent;
using internal::SimFabric;
using internal::SimMachine;
using internal::SimProcess;
using internal::SimSchedule;

// Turns of the loop without time going on; more is a promise chain that never ends.
constexpr kj::uint kTurnsMax = 20'000'000;
constexpr int64_t kEndOfTime = INT64_MAX / 4;

class SimPort final : public kj::EventPort {
 public:
  explicit SimPort(SimSchedule& schedule) : schedule_(schedule) {}
  bool wait() override {
    KJ_REQUIRE(!schedule_.empty(), "waiting for what will never happen: no event is to come");
    schedule_.RunNext(kEndOfTime);
    return false;
  }
  bool poll() override { return false; }

 private:
  SimSchedule& schedule_;
};

}  // namespace

class SimWorld::Impl {
 public:
  struct Place {
    SimComputer* computer;
    std::unique_ptr<SimDisk> disk;
    SimStorage storage = SimStorage::kDisk;
    std::vector<kj::Own<SimProcess>> processes;  // The last is the present one.
    std::vector<kj::Own<SimMachine>> machines;
    kj::Maybe<kj::Function<void()>> destroy;
  };

  Impl(uint64_t seed, const SimOptions& options)
      : seed_(seed),
        root_(Random(seed).Fork("world")),
        script_random_(root_.Fork("script")),
        log_(options.log_level, options.log_lines_max, [this]() { return schedule_.Now(); }),
        port_(schedule_),
        loop_(port_),
        scope_(loop_),
        fabric_(schedule_, root_.Fork("network"), options.link, options.stream_window) {
    exits_.same_host = options.hosts == SimHosts::kShared;
  }

  ~Impl() noexcept(false) {
    for (auto& [name, place] : places_) {
      place.destroy = nullptr;  // The owners are gone by now.
      End(place, SimDiskAfter::kKeep);
    }
    schedule_.Clear();
  }

  Place& At(std::string_view name) {
    auto it = places_.find(name);
    KJ_REQUIRE(it != places_.end(), "no such machine", std::string(name).c_str());
    return it->second;
  }
  SimComputer& Computer(std::string_view name) { return *At(name).computer; }

  Machine& Start(Place& place) {
    KJ_REQUIRE(place.computer->process == nullptr, "its process lives",
               place.computer->name.c_str());
    uint64_t id = ++last_process_;
    auto process = kj::heap<SimProcess>(schedule_, *place.computer, id,
                                        root_.Fork(absl::StrCat(place.computer->name, "#", id)));
    kj::Own<DataDirectory> directory;
    kj::Own<RecordStore> records;
    if (place.storage == SimStorage::kDisk) {
      auto opened = place.disk->Open(*process);
      KJ_REQUIRE(opened.ok(), opened.status().ToString().c_str());
      directory = kj::mv(*opened);
      records = place.disk->OpenRecords(*process);
    }
    place.computer->powered = true;
    place.computer->process = process.get();
    auto machine =
        kj::heap<SimMachine>(*process, fabric_, exits_, log_, kj::mv(directory), kj::mv(records));
    place.processes.push_back(kj::mv(process));
    place.machines.push_back(kj::mv(machine));
    return *place.machines.back();
  }

  // Silence first, then the destructors.
  void End(Place& place, SimDiskAfter disk) {
    SimProcess* process = std::exchange(place.computer->process, nullptr);
    if (process == nullptr) return;
    schedule_.Kill(*process);
    if (place.computer->powered) {
      fabric_.CloseProcess(*place.computer);
    } else {
      fabric_.ForgetProcess(*place.computer);
    }
    place.disk->Crash(*process);
    if (disk == SimDiskAfter::kErase) place.disk->Erase();
    KJ_IF_MAYBE (destroy, place.destroy) (*destroy)();
    place.destroy = nullptr;
    place.machines.back()->Dispose();
    if (std::exchange(place.computer->frozen, false)) fabric_.Retransmit();
  }

  // Runs one event, then the loop dry; false when none is due by `limit`.
  bool Step(int64_t limit) {
    if (!schedule_.RunNext(limit)) return false;
    Drain();
    KJ_IF_MAYBE (step, on_step_) (*step)();
    return true;
  }
  void Drain() {
    loop_.run(kTurnsMax);
    KJ_REQUIRE(!loop_.isRunnable(), "a promise chain never ends while time stands still");
  }

  uint64_t seed_;
  const Random root_;  // Only forked, so that no draw moves another.
  Random script_random_;
  SimSchedule schedule_;
  SimLog log_;
  SimPort port_;
  kj::EventLoop loop_;
  kj::WaitScope scope_;
  SimFabric fabric_;
  internal::SimExits exits_;
  uint64_t last_process_ = 0;
  kj::Maybe<kj::Function<void()>> on_step_;
  std::map<std::string, Place, std::less<>> places_;
};

SimWorld::SimWorld(uint64_t seed, SimOptions options)
    : impl_(std::make_unique<Impl>(seed, options)) {}
SimWorld::~SimWorld() noexcept(false) {}

Machine& SimWorld::AddMachine(std::string_view name, SimStorage storage) {
  KJ_REQUIRE(!impl_->places_.contains(name), "there is one of that name",
             std::string(name).c_str());
  auto& place = impl_->places_[std::string(name)];
  place.computer = &impl_->fabric_.AddComputer(name);
  place.storage = storage;
  place.disk = std::make_unique<SimDisk>(
      std::string(name), impl_->root_.Fork(absl::StrCat("disk ", std::string(name))));
  return impl_->Start(place);
}

Machine& SimWorld::machine(std::string_view name) { return *impl_->At(name).machines.back(); }
bool SimWorld::alive(std::string_view name) { return impl_->Computer(name).process != nullptr; }
std::string SimWorld::Ip(std::string_view name) { return impl_->Computer(name).ip; }

void SimWorld::AddName(std::string_view name, std::vector<std::string> machines) {
  impl_->fabric_.AddName(name, std::move(machines));
}

void SimWorld::OnDestroy(std::string_view name, kj::Function<void()> destroy) {
  impl_->At(name).destroy = kj::mv(destroy);
}

absl::Time SimWorld::Now() const { return impl_->schedule_.Now(); }

void SimWorld::RunFor(absl::Duration duration) {
  int64_t until = impl_->schedule_.now() + absl::ToInt64Nanoseconds(duration);
  impl_->Drain();
  while (impl_->Step(until)) {
  }
}

bool SimWorld::RunUntil(kj::Function<bool()> done, absl::Duration limit) {
  int64_t until = impl_->schedule_.now() + absl::ToInt64Nanoseconds(limit);
  impl_->Drain();
  while (!done()) {
    if (!impl_->Step(until)) return done();
  }
  return true;
}

void SimWorld::OnStep(kj::Maybe<kj::Function<void()>> step) { impl_->on_step_ = kj::mv(step); }

kj::WaitScope& SimWorld::scope() { return impl_->scope_; }

void SimWorld::After(absl::Duration delay, kj::Function<void()> step) {
  impl_->schedule_.After(delay, SimEvent::kScript, nullptr, kj::mv(step));
}

void SimWorld::Kill(std::string_view name, SimDiskAfter disk) { impl_->End(impl_->At(name), disk); }

void SimWorld::PowerOff(std::string_view name, SimDiskAfter disk) {
  auto& place = impl_->At(name);
  place.computer->powered = false;
  impl_->End(place, disk);
}

Machine& SimWorld::Restart(std::string_view name) {
  Machine& machine = impl_->Start(impl_->At(name));
  impl_->fabric_.Retransmit();
  return machine;
}

void SimWorld::Pause(std::string_view name, SimPause what) {
  auto& computer = impl_->Computer(name);
  if (computer.process == nullptr) return;
  impl_->schedule_.Pause(*computer.process);
  computer.frozen = what == SimPause::kComputer;
}

void SimWorld::Resume(std::string_view name) {
  auto& computer = impl_->Computer(name);
  if (computer.process == nullptr) return;
  impl_->schedule_.Resume(*computer.process);
  if (std::exchange(computer.frozen, false)) impl_->fabric_.Retransmit();
}

void SimWorld::SetClockRate(std::string_view name, double rate) {
  auto* process = impl_->Computer(name).process;
  KJ_REQUIRE(process != nullptr, "no process lives there", std::string(name).c_str());
  process->SetClockRate(rate);
}

void SimWorld::SetWallClock(std::string_view name, absl::Duration offset) {
  impl_->Computer(name).wall_offset = offset;
}

void SimWorld::Cut(std::string_view a, std::string_view b) {
  CutOneWay(a, b);
  CutOneWay(b, a);
}

void SimWorld::CutOneWay(std::string_view from, std::string_view to) {
  impl_->fabric_.Cut(impl_->Computer(from), impl_->Computer(to));
}

void SimWorld::Heal(std::string_view a, std::string_view b) {
  impl_->fabric_.Heal(impl_->Computer(a), impl_->Computer(b));
  impl_->fabric_.Heal(impl_->Computer(b), impl_->Computer(a));
  impl_->fabric_.Retransmit();
}

void SimWorld::Isolate(std::string_view name) { impl_->fabric_.Isolate(impl_->Computer(name)); }

void SimWorld::HealAll() {
  impl_->fabric_.HealAll();
  impl_->fabric_.Retransmit();
}

void SimWorld::SetLink(std::string_view a, std::string_view b, SimLink link) {
  impl_->fabric_.SetLink(impl_->Computer(a), impl_->Computer(b), link);
  impl_->fabric_.SetLink(impl_->Computer(b), impl_->Computer(a), link);
}

void SimWorld::ClearLink(std::string_view a, std::string_view b) {
  impl_->fabric_.ClearLink(impl_->Computer(a), impl_->Computer(b));
  impl_->fabric_.ClearLink(impl_->Computer(b), impl_->Computer(a));
}

void SimWorld::SetDefaultLink(SimLink link) { impl_->fabric_.SetDefaultLink(link); }

void SimWorld::ResetConnections(std::string_view a, std::string_view b) {
  impl_->fabric_.ResetConnections(impl_->Computer(a), impl_->Computer(b));
}

void SimWorld::Refuse(std::string_view from, std::string_view to) {
  impl_->fabric_.Refuse(impl_->Computer(from), impl_->Computer(to));
}

void SimWorld::Allow(std::string_view from, std::string_view to) {
  impl_->fabric_.Allow(impl_->Computer(from), impl_->Computer(to));
}

SimDisk& SimWorld::disk(std::string_view name) { return *impl_->At(name).disk; }
Random& SimWorld::random() { return impl_->script_random_; }
const SimLog& SimWorld::log() const { return impl_->log_; }
uint64_t SimWorld::seed() const { return impl_->seed_; }
uint64_t SimWorld::trace_hash() const { return impl_->schedule_.trace_hash(); }

}  // namespace troupe
