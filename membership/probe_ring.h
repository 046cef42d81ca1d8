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
  // At a random place, so that nodes that learn of many at once do not probe in step. Once per
  // name.
  void Add(const std::string& name, Random& random);
  void Remove(const std::string& name);

  // The next name that is `wanted`; nothing when a whole round holds none.
  std::optional<std::string> Next(const std::function<bool(const std::string&)>& wanted,
                                  Random& random);

  size_t size() const { return names_.size(); }

 private:
  std::vector<std::string> names_;
  size_t next_ = 0;
};

}  // namespace troupe
