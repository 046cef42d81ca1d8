#include "troupe/membership/probe_ring.h"

#include <algorithm>
#include <utility>

namespace troupe {

void ProbeRing::Add(MemberNumber member, Random& random) {
  // It changes places with whoever is there, and among those who had their turn this one with the
  // next in line: nobody is skipped or probed twice in this round, and nobody is moved along.
  size_t at = random.Below(members_.size() + 1);
  members_.push_back(member);
  if (at < next_) {
    std::swap(members_[next_], members_.back());
    std::swap(members_[at], members_[next_]);
    ++next_;
  } else {
    std::swap(members_[at], members_.back());
  }
}

void ProbeRing::Remove(MemberNumber member) {
  auto it = std::find(members_.begin(), members_.end(), member);
  if (it == members_.end()) return;
  if (static_cast<size_t>(it - members_.begin()) < next_) --next_;
  members_.erase(it);
}

std::optional<MemberNumber> ProbeRing::Next(const std::function<bool(MemberNumber)>& wanted,
                                            Random& random) {
  for (size_t looked = 0; looked < members_.size(); ++looked) {
    if (next_ >= members_.size()) {
      random.Shuffle(members_);
      next_ = 0;
    }
    const MemberNumber member = members_[next_++];
    if (wanted(member)) return member;
  }
  return std::nullopt;
}

std::optional<MemberNumber> ProbeRing::Draw(Random& random) const {
  if (members_.empty()) return std::nullopt;
  return members_[random.Below(members_.size())];
}

}  // namespace troupe
