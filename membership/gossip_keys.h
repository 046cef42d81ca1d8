// GossipKeys: the cluster's keys for gossip, first the one that encrypts.
//
// A value. Every key decrypts, so a key is changed on a running cluster without a gap, each step on
// all nodes before the next: add the new key behind the old one, promote it to the front, remove
// the old one. Kept in a file of one key a line; a key is never printed, its id is.
//
// Errors: InvalidArgument; they name lines, never keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace troupe {

inline constexpr size_t kGossipKeyBytes = 32;
inline constexpr size_t kGossipKeysMax = 8;  // Each is tried on what decrypts under none.

using GossipKey = std::array<uint8_t, kGossipKeyBytes>;

class GossipKeys {
 public:
  GossipKeys() = default;  // None: gossip is plain.

  // One key a line, 32 bytes in base64; blank lines and what follows a '#' do not count. At least
  // one key.
  static absl::StatusOr<GossipKeys> Parse(std::string_view file);

  absl::Status Add(const GossipKey& key);      // To the end; it only decrypts.
  absl::Status Promote(const GossipKey& key);  // To the front; it encrypts from now on.
  absl::Status Remove(const GossipKey& key);   // Not the one that encrypts.

  bool empty() const { return keys_.empty(); }
  const std::vector<GossipKey>& keys() const { return keys_; }
  // For logs: the start of each key's hash.
  std::vector<std::string> Ids() const;

  friend bool operator==(const GossipKeys&, const GossipKeys&) = default;

 private:
  std::vector<GossipKey> keys_;
};

}  // namespace troupe
