// Supervisor: how often an actor has failed lately, and when it may be tried again.
//
// Pure; times are the local clock's. Of one activation: another node begins without it, so a
// failover is another chance. Sources: Armstrong, "Making reliable distributed systems in the
// presence of software errors", 2003 (intensity of restarts); Nygard, "Release It!", 2007 (circuit
// breaker, whose half-open state is the single attempt after a suspension).
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "troupe/actors/actor_options.h"
#include "troupe/runtime/random.h"

namespace troupe {

class Supervisor {
 public:
  explicit Supervisor(const Supervision& rules) : rules_(rules) {}

  // A turn failed that no caller is told of.
  void OnFailure(absl::Time now, Random& random, const std::string& error);
  // At once, however few failures there were.
  void Suspend(absl::Time now, const std::string& error);
  // The attempt after a suspension has succeeded.
  void OnActivated() { on_trial_ = false; }
  // By the operator: as if it had never failed.
  void Release();

  bool suspended(absl::Time now) const { return now < suspended_until_; }
  // Nothing is to be tried before.
  absl::Time not_before() const { return not_before_; }
  const std::string& last_error() const { return last_error_; }
  // Nothing that it remembers matters any more.
  bool Forgettable(absl::Time now) const;

 private:
  const Supervision& rules_;
  std::vector<absl::Time> failures_;  // Within the window; at most failures_max + 1.
  absl::Time not_before_ = absl::InfinitePast();
  absl::Time suspended_until_ = absl::InfinitePast();
  bool on_trial_ = false;  // Suspended, or in the one attempt after it.
  std::string last_error_;
};

}  // namespace troupe
