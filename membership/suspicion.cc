#include "troupe/membership/suspicion.h"

#include <algorithm>
#include <cmath>

namespace troupe {

Suspicion::Suspicion(absl::Time start, absl::Duration least, absl::Duration most, int confirmations,
                     std::string_view accuser)
    : start_(start),
      least_(least),
      most_(std::max(least, most)),
      confirmations_(static_cast<size_t>(std::max(0, confirmations))),
      accusers_{std::string(accuser)} {}

bool Suspicion::Confirm(std::string_view accuser) {
  if (accusers_.size() > confirmations_) return false;
  if (std::find(accusers_.begin(), accusers_.end(), accuser) != accusers_.end()) return false;
  accusers_.emplace_back(accuser);
  return true;
}

absl::Time Suspicion::deadline() const {
  if (confirmations_ == 0) return start_ + least_;
  double confirmed = static_cast<double>(accusers_.size() - 1);
  double share = std::log(confirmed + 1) / std::log(static_cast<double>(confirmations_) + 1);
  absl::Duration left = absl::Trunc(most_ - share * (most_ - least_), absl::Milliseconds(1));
  return start_ + std::max(left, least_);
}

}  // namespace troupe
