// GossipSeal: encrypts and authenticates what gossip sends, and opens what comes.
//
//   sealed = mark (4) | salt (16) | counter (8) | ciphertext | tag (16)
//
// ChaCha20-Poly1305 under a key of this run alone: HMAC-SHA256(cluster key, label, salt). The salt
// is random per run and the counter rises, so no nonce is used twice under a key, however many
// members and datagrams there are; 96 random bits would not do, many members share a cluster key.
// Bound into the tag: the mark (which names the version of this format), the salt, the counter,
// whether it is a datagram or an exchange, and the cluster's name; the cluster's id is inside.
//
// Replays are not looked for. What gossip says is ranked by boot and incarnation, so an old rumour
// is no news; an ack counts once, for the ping of its sequence; a repeated ping is answered as a
// repeated packet is. A replay can make the dead look heard a moment ago, which keeps a refusal
// from counting; suspicion runs on, as only an ack saves who is probed.
//
// Not for cloned processes: a virtual machine that is restored twice repeats salt and counter.
// Not thread-safe. Source: RFC 8439; key derivation after RFC 5869.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/gossip_keys.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr size_t kSealBytes = 44;  // By which sealed bytes are longer.

// How a cluster goes over to encryption and back, each step on all nodes before the next.
enum class GossipSecrecy : uint8_t {
  kRequired,  // What is not sealed is dropped.
  kSend,      // Seals what it sends, takes both.
  kAccept,    // Sends plain, takes both.
};

// Of what came.
struct GossipSealCounters {
  uint64_t opened = 0;
  uint64_t plain = 0;           // Taken, where that is allowed.
  uint64_t refused_plain = 0;   // Dropped: a key is set and this was not sealed.
  uint64_t refused_sealed = 0;  // Dropped: sealed, and we have no key.
  uint64_t refused_foreign =
      0;  // Dropped: under none of our keys, for another cluster, or damaged.
  uint64_t dropped() const { return refused_plain + refused_sealed + refused_foreign; }
};

class GossipSeal {
 public:
  enum class Carrier : uint8_t { kDatagram = 1, kExchange = 2 };

  // `salt` must be drawn anew for every run, from a source that cannot repeat.
  GossipSeal(std::string cluster_name, const Id128& salt, GossipSecrecy secrecy);

  // What is under way under a key that is no longer there is lost.
  void SetKeys(GossipKeys keys);
  const GossipKeys& keys() const { return keys_; }
  bool Seals() const { return !keys_.empty() && secrecy_ != GossipSecrecy::kAccept; }

  // The bytes to send: sealed, or as they are where we send plain. Empty: the library failed.
  std::vector<std::byte> Seal(Carrier carrier, std::span<const std::byte> plain);
  // The plain bytes. PermissionDenied: dropped, counted, and why.
  absl::StatusOr<std::vector<std::byte>> Open(Carrier carrier, std::span<const std::byte> bytes);

  const GossipSealCounters& counters() const { return counters_; }

 private:
  std::string Bound(Carrier carrier, std::span<const std::byte> head) const;

  const std::string cluster_name_;
  const Id128 salt_;
  const GossipSecrecy secrecy_;
  GossipKeys keys_;
  GossipKey own_key_ = {};  // Derived from the first key and our salt.
  uint64_t counter_ = 0;
  GossipSealCounters counters_;
};

}  // namespace troupe
