// ActorId: the lasting identity of an actor, and the shard that owns it.
//
// Or of an observer, which has a name but no shard (observer_key.h).
//
// Values. The type is the id of the Cap'n Proto interface; the key is any bytes up to kKeyBytesMax.
// Actors of one role whose keys have the same affinity, the text in the key's first braces, are in
// one shard, whatever their types: on the same node and loop, and calls between them stay there.
// "{cart7}/items" and "{cart7}/payment" are together; "cart7" is somewhere else.
//
// ShardOf is part of the protocol (docs/protocol.md P6.11): all nodes and clients of all versions
// must agree on it, so it never changes. Source of the hash: Aumasson and Bernstein, "SipHash: a
// fast short-input PRF", 2012.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr size_t kKeyBytesMax = 1024;  // Keys travel with every call and every report.

struct ActorId {
  uint64_t type = 0;
  std::string key;

  // "00000000d51c1c5f/alice"; bytes that do not print appear as \xNN. With the type's name where it
  // is known (actor_name.h): "Counter/alice".
  std::string ToString() const;
  std::string ToString(std::string_view type_name) const;

  friend auto operator<=>(const ActorId&, const ActorId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ActorId& id) {
    return H::combine(std::move(h), id.type, id.key);
  }
};

// SipHash-2-4 of `bytes` under the key (k0, k1).
uint64_t SipHash24(uint64_t k0, uint64_t k1, std::span<const unsigned char> bytes);

// What is between the first '{' of the key and the next '}'; empty: it has no affinity.
std::string_view AffinityOf(std::string_view key);

// SipHash-2-4 of the type (8 bytes, little-endian) followed by the key bytes, under the constant
// key "troupe actor key" (16 bytes of ASCII, two little-endian halves).
uint64_t ActorKeyHash(const ActorId& actor);

// ActorKeyHash modulo `shards`, with an affinity that of type 0 and the affinity as the key.
// `shards` is fixed when the cluster is founded and > 0.
ShardId ShardOf(const ActorId& actor, uint32_t shards);

// A key with an affinity to the shard of `actor`, made of its key and `name`, the same whenever it
// is asked for: "{cart7}/items" of an actor "{cart7}", "{17}/alice/items" of "alice".
std::string KeyBeside(const ActorId& actor, uint32_t shards, std::string_view name);

}  // namespace troupe
