// From absl::Duration to kj::Duration.
#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "kj/time.h"

namespace troupe {

// Rounded up, so that a wait is never shorter than asked; at most a year, at least zero.
inline kj::Duration ToKj(absl::Duration d) {
  d = std::clamp(d, absl::ZeroDuration(), absl::Hours(24 * 365));
  return absl::ToInt64Nanoseconds(absl::Ceil(d, absl::Nanoseconds(1))) * kj::NANOSECONDS;
}

}  // namespace troupe
