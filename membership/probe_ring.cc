#include "troupe/membership/probe_ring.h"

#include <algorithm>
#include <utility>

namespace troupe {

void ProbeRing::Add(const std::string& name, Random& random) {
  // It changes places with whoever is there, and among those who had their turn this one with the
  // next in line: nobody is skipped or probed twice in this round, and nobody is moved along.
  size_t at = random.Below(names_.size() + 1);
  names_.push_back(name);
  if (at < next_) {
    std::swap(names_[next_], names_.back());
    std::swap(names_[at], names_[next_]);
    ++next_;
  } else {
    std::swap(names_[at], names_.back());
  }
}

void ProbeRing::Remove(const std::string& name) {
  auto it = std::find(names_.begin(), names_.end(), name);
  if (it == names_.end()) return;
  if (static_cast<size_t>(it - names_.begin()) < next_) --next_;
  names_.erase(it);
}

std::optional<std::string> ProbeRing::Next(const std::function<bool(const std::string&)>& wanted,
                                           Random& random) {
  for (size_t looked = 0; looked < names_.size(); ++looked) {
    if (next_ >= names_.size()) {
      random.Shuffle(names_);
      next_ = 0;
    }
    const std::string& name = names_[next_++];
    if (wanted(name)) return name;
  }
  return std::nullopt;
}

}  // namespace troupe
