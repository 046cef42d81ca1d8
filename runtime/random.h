// Random: a seeded generator, passed in wherever a choice is random.
//
// Not cryptographic: ids that must not be guessed come from Host::RandomId(). Not thread-safe.
// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014 (SplitMix64).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "troupe/runtime/ids.h"

namespace troupe {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound); 0 when bound is 0.
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }

  // True with the given probability in [0, 1].
  bool Chance(double probability) { return Unit() < probability; }

  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  Id128 NextId() { return Id128{Next(), Next()}; }

  // An independent stream for `name`, so that adding a draw in one place moves no other.
  Random Fork(std::string_view name) const;

  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace troupe
