// The seeds of a test that runs with many.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace troupe {

// TROUPE_SEEDS=A..B (or A) where that is set.
inline std::vector<uint64_t> SeedsOr(uint64_t first, uint64_t last) {
  if (const char* range = std::getenv("TROUPE_SEEDS")) {
    char* rest = nullptr;
    first = last = std::strtoull(range, &rest, 10);
    if (rest[0] == '.' && rest[1] == '.') last = std::strtoull(rest + 2, nullptr, 10);
  }
  std::vector<uint64_t> seeds;
  for (uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  return seeds;
}

}  // namespace troupe
