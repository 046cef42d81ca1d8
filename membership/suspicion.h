// Suspicion: the time a suspect has left to refute.
//
// It starts long, and each further accuser shortens it along a logarithm down to a least time: one
// accuser may be the sick one, several rarely are. Not thread-safe; holds at most k + 1 names.
// Source: "Lifeguard", local health aware suspicion; timer curve as in memberlist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace troupe {

class Suspicion {
 public:
  // `confirmations` (k): how many further accusers bring it down to `least`; 0: `least` at once.
  Suspicion(absl::Time start, absl::Duration least, absl::Duration most, int confirmations,
            std::string_view accuser);

  // Another accuser. True if it is news: not the first accuser, not counted yet, not beyond k.
  // The deadline may then lie in the past: the suspect is dead now.
  bool Confirm(std::string_view accuser);

  absl::Time deadline() const;
  int accusers() const { return static_cast<int>(accusers_.size()); }

  // Time in which this process itself stood still does not count against the suspect.
  void Postpone(absl::Duration by) { start_ += by; }

 private:
  absl::Time start_;
  absl::Duration least_;
  absl::Duration most_;
  size_t confirmations_;
  std::vector<std::string> accusers_;
};

}  // namespace troupe
