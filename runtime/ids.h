// Ids: the numbers and names that identify processes, copies and actors.
//
// Values: copied, compared, hashed, printed.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

namespace troupe {

// 128 random bits: one process (its start-up nonce), one storage directory, one cluster, one
// client.
struct Id128 {
  uint64_t hi = 0;
  uint64_t lo = 0;

  bool IsZero() const { return hi == 0 && lo == 0; }
  std::string ToString() const;  // 32 lower-case hex digits.

  friend auto operator<=>(const Id128&, const Id128&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Id128& id) {
    return H::combine(std::move(h), id.hi, id.lo);
  }
};

// One run of one node, as the register numbered it: the register's version at which the run was
// registered. Unique in the cluster and rising; 0 means "not registered".
using Boot = uint64_t;

// Fencing number of a shard, +1 at each new primary.
using Epoch = uint64_t;

// Index of a slice of the actor key space.
using ShardId = uint32_t;

}  // namespace troupe
