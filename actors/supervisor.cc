#include "troupe/actors/supervisor.h"

#include <algorithm>

namespace troupe {
namespace {

constexpr size_t kErrorBytesMax = 512;  // Goes into every refusal.

}  // namespace

void Supervisor::OnFailure(absl::Time now, Random& random, const std::string& error) {
  std::erase_if(failures_, [&](absl::Time at) { return at + rules_.window <= now; });
  failures_.push_back(now);
  if (on_trial_ || failures_.size() > rules_.failures_max) return Suspend(now, error);
  last_error_ = error.substr(0, kErrorBytesMax);
  absl::Duration pause = rules_.pause_min;
  for (size_t i = 1; i < failures_.size() && pause < rules_.pause_max; ++i) pause *= 2;
  not_before_ = now + std::min(pause, rules_.pause_max) * (0.5 + random.Unit());
}

void Supervisor::Suspend(absl::Time now, const std::string& error) {
  last_error_ = error.substr(0, kErrorBytesMax);
  suspended_until_ = not_before_ = now + rules_.suspended_for;
  on_trial_ = true;
  failures_.clear();
}

void Supervisor::Release() {
  failures_.clear();
  on_trial_ = false;
  not_before_ = suspended_until_ = absl::InfinitePast();
}

bool Supervisor::Forgettable(absl::Time now) const {
  return !on_trial_ && !suspended(now) &&
         std::all_of(failures_.begin(), failures_.end(),
                     [&](absl::Time at) { return at + rules_.window <= now; });
}

}  // namespace troupe
