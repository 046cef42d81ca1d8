// Clock: the boot-time clock that every time-bound decision reads.
//
// Monotonic, counts time spent suspended (CLOCK_BOOTTIME), and has nothing to do with the wall
// clock: values are only comparable within one process. Expressed as absl::Time (an arbitrary
// origin) so that deciding code uses absl::Duration throughout.
#pragma once

#include "absl/time/time.h"

namespace troupe {

class Clock {
 public:
  virtual ~Clock() = default;

  // Reads the clock itself, never a cached value of the event loop (docs/protocol.md P4.5).
  virtual absl::Time Now() const = 0;
};

}  // namespace troupe
