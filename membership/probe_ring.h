// ProbeRing: whom to probe next. Every member once per round, each round in another order.
//
// Round-robin bounds the time until a dead member is probed to one round; pure chance does not.
// Not thread-safe. Source: SWIM, section 4.3.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "troupe/runtime/random.h"

namespace troupe {

class ProbeRing {
 public:
  // At a random place, so that nodes that learn of many at once do not probe in step. The name must
  // not be there yet: to look would cost as much as the ring is long.
  void Add(const std::string& name, Random& random);
  void Remove(const std::string& name);

  // The next name that is `wanted`; nothing when a whole round holds none.
  std::optional<std::string> Next(const std::function<bool(const std::string&)>& wanted,
                                  Random& random);

  // Any name, whoever's turn it is; null when there is none.
  const std::string* Draw(Random& random) const {
    return names_.empty() ? nullptr : &names_[random.Below(names_.size())];
  }

  size_t size() const { return names_.size(); }

 private:
  std::vector<std::string> names_;
  size_t next_ = 0;
};

}  // namespace troupe
