// ProbeRing: whom to probe next. Every member once per round, each round in another order.
//
// Round-robin bounds the time until a dead member is probed to one round; pure chance does not.
// Not thread-safe. Source: SWIM, section 4.3.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "troupe/membership/member_list.h"
#include "troupe/runtime/random.h"

namespace troupe {

class ProbeRing {
 public:
  // At a random place, so that nodes that learn of many at once do not probe in step. It must
  // not be there yet: to look would cost as much as the ring is long.
  void Add(MemberNumber member, Random& random);
  void Remove(MemberNumber member);

  // The next that is `wanted`; nothing when a whole round holds none.
  std::optional<MemberNumber> Next(const std::function<bool(MemberNumber)>& wanted, Random& random);

  // Any, whoever's turn it is; nothing when there is none.
  std::optional<MemberNumber> Draw(Random& random) const;

  size_t size() const { return members_.size(); }

 private:
  std::vector<MemberNumber> members_;
  size_t next_ = 0;
};

}  // namespace troupe
