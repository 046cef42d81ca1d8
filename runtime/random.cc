#include "troupe/runtime/random.h"

#include <cstdio>

namespace troupe {

Random Random::Fork(std::string_view name) const {
  uint64_t hash = 0xcbf29ce484222325ull ^ state_;  // FNV-1a over the name, seeded by our state.
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3ull;
  return Random(hash);
}

std::string Id128::ToString() const {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hi),
                static_cast<unsigned long long>(lo));
  return text;
}

}  // namespace troupe
