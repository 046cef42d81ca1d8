#include "troupe/actors/pool_key.h"

namespace troupe {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kReserved = "\0troupe pool\0"sv;

}  // namespace

std::string PoolKey(uint64_t number) {
  std::string out(kReserved);
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
  return out;
}

bool IsPoolKey(std::string_view key) { return key.starts_with(kReserved); }

std::optional<uint64_t> NumberOfPoolKey(std::string_view key) {
  if (!IsPoolKey(key) || key.size() != kReserved.size() + 8) return std::nullopt;
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    number |= uint64_t{static_cast<unsigned char>(key[kReserved.size() + i])} << (8 * i);
  }
  return number;
}

}  // namespace troupe
