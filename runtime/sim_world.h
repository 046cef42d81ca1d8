// SimWorld: a whole cluster's world in one thread: virtual time, machines, network, disks, faults.
//
//   SimWorld world(seed);
//   Machine& a = world.AddMachine("a");
//   world.OnDestroy("a", [&]() { node = nullptr; });
//   world.RunUntil([&]() { return node->ready(); }, absl::Seconds(10));
//   world.Kill("a", SimDiskAfter::kKeep);
//
// Time passes only while it runs, in jumps from event to event. Equal seeds give equal runs:
// compare trace_hash(). Machines are named; each has one address, "10.0.0.N", and 127.0.0.1 is
// itself.
//
// A killed process goes silent first and only then are its objects destroyed, through OnDestroy():
// its timers, posts and promises never fire again, what it sends is swallowed. A paused one keeps
// its clock and its kernel, which answers dials and stores bytes; it sees all that upon Resume.
//
// Threads: one; it makes the thread's KJ event loop. Faults are called from outside of the loop or
// from After(), never from code of the machine they hit. Everything made here goes before it does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/sim_disk.h"
#include "troupe/runtime/sim_log.h"
#include "troupe/runtime/sim_network.h"

namespace troupe {

enum class SimDiskAfter { kKeep, kErase };
enum class SimStorage { kDisk, kNone };
enum class SimPause {
  kProcess,  // As by SIGSTOP: the kernel goes on.
  kComputer  // As of a virtual machine: peers see silence.
};
enum class SimHosts {
  kOneEach,  // No machine can watch another's process.
  kShared    // WatchExit works between all of them.
};

struct SimOptions {
  SimLink link;
  SimHosts hosts = SimHosts::kOneEach;
  size_t stream_window =
      256 * 1024;  // Bytes written and not yet read by the peer; then writes wait.
  LogLevel log_level = LogLevel::kInfo;
  size_t log_lines_max = 1000;
};

class SimWorld {
 public:
  explicit SimWorld(uint64_t seed, SimOptions options = {});
  ~SimWorld() noexcept(false);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  // Without storage, its data_directory() is null.
  Machine& AddMachine(std::string_view name, SimStorage storage = SimStorage::kDisk);
  Machine& machine(std::string_view name);  // Its present or last run.
  bool alive(std::string_view name);
  std::string Ip(std::string_view name);
  // A name that Resolve() gives the addresses of these machines for.
  void AddName(std::string_view name, std::vector<std::string> machines);
  // What destroys the owner's objects on that machine, when it dies; for its present run. Not
  // called when the world ends.
  void OnDestroy(std::string_view name, kj::Function<void()> destroy);

  absl::Time Now() const;
  void RunFor(absl::Duration duration);
  // Until `done`, asked after every event; false when `limit` has passed without.
  bool RunUntil(kj::Function<bool()> done, absl::Duration limit);
  // Runs after every event of the runs above, when the loop is idle; null: nothing. Must not make
  // time pass.
  void OnStep(kj::Maybe<kj::Function<void()>> step);
  // For promise.wait(); fails when nothing will ever happen.
  kj::WaitScope& scope();
  // Runs a step of a test's script at that time.
  void After(absl::Duration delay, kj::Function<void()> step);

  void Kill(std::string_view name, SimDiskAfter disk);
  // Kill of the computer: nobody is told, dials and streams to it meet silence.
  void PowerOff(std::string_view name, SimDiskAfter disk);
  // A new process on the same computer; its last one is dead.
  Machine& Restart(std::string_view name);
  void Pause(std::string_view name, SimPause what = SimPause::kProcess);
  void Resume(std::string_view name);
  void SetClockRate(std::string_view name, double rate);
  // The wall clock of the computer is `offset` ahead from now on. Until it is set, clocks are up to
  // 50 ms before or behind the true time.
  void SetWallClock(std::string_view name, absl::Duration offset);

  void Cut(std::string_view a, std::string_view b);
  void CutOneWay(std::string_view from, std::string_view to);
  void Heal(std::string_view a, std::string_view b);
  void Isolate(std::string_view name);
  void HealAll();
  void SetLink(std::string_view a, std::string_view b, SimLink link);
  void ClearLink(std::string_view a, std::string_view b);  // Back to the default.
  void SetDefaultLink(SimLink link);
  // A box between them makes resets: to what is connected now, or to whoever dials from one to the
  // other until Allow().
  void ResetConnections(std::string_view a, std::string_view b);
  void Refuse(std::string_view from, std::string_view to);
  void Allow(std::string_view from, std::string_view to);

  SimDisk& disk(std::string_view name);
  Random& random();  // For the test's own choices.
  const SimLog& log() const;
  uint64_t seed() const;
  uint64_t trace_hash() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe
