// Host and Machine: everything a node touches outside its own memory.
//
// This is the seam between troupe and the world. Production gives threads with libuv loops
// (uv_machine.h); tests give the simulator's virtual time, network and disks (sim_world.h). Code
// above runtime/ takes a Host& or a Machine& in its constructor and asks nobody else for time,
// randomness, sockets or threads: no globals, no thread-locals, no wall clock.
//
// Threads: a Host belongs to one event loop and is used on it, except Post().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kj/async.h"
#include "kj/function.h"
#include "kj/memory.h"
#include "kj/timer.h"
#include "troupe/runtime/clock.h"
#include "troupe/runtime/data_directory.h"
#include "troupe/runtime/ids.h"
#include "troupe/runtime/log.h"
#include "troupe/runtime/network.h"
#include "troupe/runtime/random.h"
#include "troupe/runtime/record_store.h"

namespace troupe {

// One event loop's view of the world.
class Host {
 public:
  virtual ~Host() noexcept(false) = default;

  virtual Clock& clock() = 0;
  virtual kj::Timer& timer() = 0;
  virtual Random& random() = 0;
  virtual Network& network() = 0;
  virtual const Log& log() const = 0;

  // 128 bits nobody can guess, from the operating system (in simulation: from the seed).
  virtual Id128 RandomId() = 0;

  // From any thread: runs `work` on this host's loop, in the order of posting per posting thread.
  // False, and nothing happens, when the inbox is full (kInboxBound) or the loop has stopped; the
  // caller then answers OVERLOADED. `work` must not throw.
  [[nodiscard]] virtual bool Post(kj::Function<void()> work) = 0;

  // The same for what must not be dropped and is bounded by its sender: map updates, replies to
  // work that was itself admitted. False only when the loop has stopped.
  virtual bool PostControl(kj::Function<void()> work) = 0;

  // How long ago the loop has last looked at its sockets and timers, give or take 10 ms, for a few
  // nanoseconds. Zero in simulation, where no time passes while code runs.
  virtual absl::Duration SinceLook() const = 0;

  // Runs blocking or long work of the program on a thread of its own (work_pool.h), apart from
  // those that files use; its end comes back on this loop. Rejects with what `work` threw, or
  // OVERLOADED when too much waits. Dropping the promise is always allowed.
  virtual kj::Promise<void> Offload(kj::Function<void()> work) = 0;
};

inline constexpr size_t kInboxBound = 65536;  // Entries; about 10 MB of waiting calls.

// Which process of this computer a peer is, so that its end can be observed. Zero: not known.
struct ProcessIdentity {
  int64_t pid = 0;
  uint64_t start_time = 0;     // Clock ticks after boot, field 22 of /proc/PID/stat.
  uint64_t pid_namespace = 0;  // Inode of /proc/self/ns/pid.
  uint64_t boot_id_hash = 0;   // Hash of /proc/sys/kernel/random/boot_id: which computer.
};

// What runs on one worker's loop: made, used and destroyed on that loop.
class WorkerBody {
 public:
  virtual ~WorkerBody() noexcept(false) = default;
};

// One node's process: its control loop, its workers, its data directory.
class Machine {
 public:
  virtual ~Machine() noexcept(false) = default;

  virtual Host& control() = 0;

  // Starts `count` worker loops; `make` runs once on each. Called once, from the control loop.
  // Resolves when all bodies exist; rejects if one threw.
  virtual kj::Promise<void> StartWorkers(
      size_t count, kj::Function<kj::Own<WorkerBody>(size_t index, Host& host)> make) = 0;
  // Destroys the bodies on their loops and joins the threads. From the control loop.
  virtual void StopWorkers() = 0;
  virtual size_t worker_count() const = 0;
  virtual Host& worker(size_t index) = 0;  // For Post only, when called from another loop.

  // Null when the node keeps nothing on disk.
  virtual DataDirectory* data_directory() = 0;
  // The same. Outlives the workers; its Scan() is for Host::Offload().
  virtual RecordStore* record_store() = 0;

  virtual ProcessIdentity process() const = 0;
  // Resolves when that process has ended: proof of death. Nothing if it is not a process of this
  // computer and pid namespace that can be watched, or is already gone.
  virtual std::optional<kj::Promise<void>> WatchExit(const ProcessIdentity& process) = 0;

  // Runs work on files off the loop, its result back on the control loop or the calling worker's
  // loop. Rejects with what `work` threw.
  virtual kj::Promise<void> Offload(kj::Function<void()> work) = 0;
};

}  // namespace troupe
