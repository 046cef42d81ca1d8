// SimSchedule: virtual time and everything that will happen in it, in one order.
//
// An entry runs at its time, entries of equal time in the order in which they were added. An entry
// may belong to a SimGate (a simulated process): while the gate is paused the entry waits, and when
// it is dead the entry is gone.
//
// Units: virtual nanoseconds since the start of the world.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "kj/function.h"

namespace troupe::internal {

class SimGate;

// What kind of thing happened: part of the trace hash.
enum class SimEvent : uint64_t {
  kScript = 1,
  kTimer,
  kPost,
  kWake,
  kOffload,
  kSegment,
  kCredit,
  kReset,
  kDial,
  kDatagram,
  kDatagramRefused,
  kDisk,
  kExit,
  kFault,
};

class SimSchedule {
 public:
  using Id = uint64_t;  // 0: none.

  int64_t now() const { return now_; }
  absl::Time Now() const { return absl::FromUnixNanos(now_); }

  Id At(int64_t when, SimEvent kind, SimGate* gate, kj::Function<void()> run);
  Id After(absl::Duration delay, SimEvent kind, SimGate* gate, kj::Function<void()> run) {
    int64_t wait = std::min(absl::ToInt64Nanoseconds(delay), INT64_MAX / 4);
    return At(now_ + wait, kind, gate, kj::mv(run));
  }
  // Runs `run` now if the gate is open, at its resumption if paused, never if dead. The id is 0
  // unless it is still to come.
  Id Wake(SimGate& gate, kj::Function<void()> run);
  void Cancel(Id id);

  // Runs the next entry if it is due by `limit`; otherwise moves time to `limit` and says false.
  bool RunNext(int64_t limit);
  bool empty() const { return queue_.empty(); }
  void Clear();

  void Pause(SimGate& gate);
  void Resume(SimGate& gate);
  void Kill(SimGate& gate);

  // The hash of all that happened; equal for equal seeds.
  uint64_t trace_hash() const { return hash_; }
  void Mix(uint64_t value);
  void Mix(std::span<const std::byte> bytes);

 private:
  friend class SimGate;
  struct Key {
    int64_t when;
    uint64_t order;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    Id id;
    SimEvent kind;
    SimGate* gate;
    kj::Function<void()> run;
  };
  using Queue = std::map<Key, Entry>;
  struct Place {
    Queue* queue;
    Key key;
  };

  void Insert(Queue& queue, Key key, Entry&& entry);
  void CountAtThisInstant();

  int64_t now_ = 0;
  uint64_t last_order_ = 0;
  Id last_id_ = 0;
  uint64_t hash_ = 0x9E3779B97F4A7C15ull;
  uint64_t at_this_instant_ = 0;
  Queue queue_;
  absl::flat_hash_map<Id, Place> places_;
};

// Whose entries these are. Outlives its entries.
class SimGate {
 public:
  explicit SimGate(uint64_t id) : gate_id_(id) {}
  SimGate(const SimGate&) = delete;
  SimGate& operator=(const SimGate&) = delete;

  bool paused() const { return paused_; }
  bool dead() const { return dead_; }
  uint64_t gate_id() const { return gate_id_; }

 private:
  friend class SimSchedule;
  uint64_t gate_id_;
  bool paused_ = false;
  bool dead_ = false;
  SimSchedule::Queue held_;  // Came due during the pause.
};

}  // namespace troupe::internal
