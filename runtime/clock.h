// Clock: the boot-time clock that every time-bound decision reads, and the wall clock beside it.
//
// Now() is monotonic, counts time spent suspended (CLOCK_BOOTTIME), and has nothing to do with the
// wall clock: values are only comparable within one process. Expressed as absl::Time (an arbitrary
// origin) so that deciding code uses absl::Duration throughout.
//
// WallNow() is the time of day (CLOCK_REALTIME). It differs from node to node by what their clocks
// are apart, and may be set back or forth. Only what must mean the same moment on another node, or
// tomorrow, is reckoned in it: the due times of reminders. No rule of safety rests on it.
#pragma once

#include "absl/time/time.h"

namespace troupe {

class Clock {
 public:
  virtual ~Clock() = default;

  // Reads the clock itself, never a cached value of the event loop (docs/protocol.md P4.5).
  virtual absl::Time Now() const = 0;
  virtual absl::Time WallNow() const = 0;
};

}  // namespace troupe
