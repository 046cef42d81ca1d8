// SimProcess: one run of a simulated machine's node: its gate, its clock and its timers.
// SimComputer: the machine it runs on, which outlives it: address, ports, power.
//
// A process that is dead keeps its objects until the world ends, so that whatever still refers to
// them finds them silent rather than gone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/timer.h"
#include "troupe/runtime/clock.h"
#include "troupe/runtime/internal/sim_schedule.h"
#include "troupe/runtime/random.h"

namespace troupe::internal {

class SimListener;
class SimDatagramSocket;
class SimConnection;
class SimTimerWait;
class SimProcess;

struct SimComputer {
  std::string name;
  std::string ip;
  uint32_t index = 0;
  absl::Duration wall_offset = absl::ZeroDuration();  // Of its wall clock from the true time.
  bool powered = true;
  bool frozen = false;            // The whole computer, not only the process, stands still.
  SimProcess* process = nullptr;  // Null when none lives.
  std::map<std::string, SimListener*> listeners;  // By port, or "unix:/path".
  std::map<uint16_t, SimDatagramSocket*> datagram_ports;
  std::map<uint64_t, SimConnection*> connections;  // With an open end here, by number.
  uint16_t next_port = 32768;
};

// The process's own time: virtual time at a rate of its own, from an origin of its own.
class SimProcess final : public SimGate, public Clock, public kj::Timer {
 public:
  SimProcess(SimSchedule& schedule, SimComputer& computer, uint64_t id, Random random);

  SimSchedule& schedule() { return schedule_; }
  SimComputer& computer() { return computer_; }
  Random& random() { return random_; }

  // `rate` 1.05: 5 % fast. Pending timers follow.
  void SetClockRate(double rate);

  absl::Time Now() const override { return absl::FromUnixNanos(LocalNow()); }
  // Virtual time, apart from that of other computers by what their wall clocks are apart. No drift:
  // wall clocks are kept in step from outside.
  absl::Time WallNow() const override;
  kj::TimePoint now() const override;
  kj::Promise<void> atTime(kj::TimePoint time) override;
  kj::Promise<void> afterDelay(kj::Duration delay) override;

 private:
  friend class SimTimerWait;
  int64_t LocalNow() const;
  int64_t VirtualTimeOf(int64_t local) const;

  SimSchedule& schedule_;
  SimComputer& computer_;
  Random random_;
  int64_t rate_ppb_ = 1'000'000'000;
  int64_t origin_virtual_;
  int64_t origin_local_;
  uint64_t last_timer_ = 0;
  std::map<uint64_t, SimTimerWait*> timers_;  // In order of creation.
};

}  // namespace troupe::internal
