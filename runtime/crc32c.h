// Crc32c: the Castagnoli checksum that guards records on disk.
//
// Finds damage, not forgery. Source: RFC 3720, B.4 (test vectors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

// `seed`: the checksum of what came before, 0 at the beginning.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t seed = 0);

}  // namespace troupe
