// PoolKey: the key by which a ref names the pool of a type instead of one actor.
//
// Values; pure. Part of the protocol (docs/protocol.md P6.18): the reserved bytes, then a number (8
// bytes, little-endian), which spreads the calls over nodes and loops. Of a ref it is 0; whoever
// calls gives each call its own. No shard has such a key, and users cannot choose one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

std::string PoolKey(uint64_t number = 0);

// Whether it begins with the reserved bytes.
bool IsPoolKey(std::string_view key);

std::optional<uint64_t> NumberOfPoolKey(std::string_view key);  // Nothing: malformed.

}  // namespace troupe
