// ObserverKey: the key by which a ref names an observer, an object of a client, instead of an actor
// of the cluster.
//
// Values; pure. Part of the protocol (docs/protocol.md P6.14): the reserved bytes, then the
// client's id (16 bytes), the worker that its links go to (2), and the object's number (8),
// little-endian. No shard has it. Keys that users choose cannot begin with the reserved bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "troupe/runtime/ids.h"

namespace troupe {

struct ObserverKey {
  Id128 client;         // ObserverClient() of what only the client and its nodes know.
  uint16_t worker = 0;  // Modulo the workers of a node: which of them has the client's link.
  uint64_t number = 0;

  std::string Encode() const;
  static std::optional<ObserverKey> Decode(std::string_view key);  // Nothing: malformed.
  std::string ToString() const;  // "observer-3@" and the client's id.

  friend bool operator==(const ObserverKey&, const ObserverKey&) = default;
};

// Whether it begins with the reserved bytes.
bool IsObserverKey(std::string_view key);

// The key as it is. Throws FAILED when it begins with the reserved bytes, or those of pools or
// children: refs of observers come from Client::Observe() and from others, of pools from Pool(), of
// children from Children, not from Get().
std::string UserKey(std::string_view key);

// The id under which a client's observers are known. Refs spread it; only who has the secret can
// claim it, and it does not tell the secret: SHA-256, cut to 128 bits.
Id128 ObserverClient(const Id128& secret);

}  // namespace troupe
