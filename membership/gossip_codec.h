// GossipCodec: datagrams and push/pulls as values, and their bounded decoding.
//
// Pure functions. gossip.capnp is the specification. Decoding never throws and never trusts a
// length: an InvalidArgument says what was wrong, and the caller counts and drops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/membership/gossip_digest.h"
#include "troupe/membership/member.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr uint16_t kGossipVersion = 1;
inline constexpr uint16_t kOldestGossipVersion = 1;  // That we still read.

// One complete alive rumour with a header fits in a datagram whatever the names.
inline constexpr size_t kNodeNameBytesMax = 64;
inline constexpr size_t kAddressBytesMax = 64;  // A bracketed IPv6 address, scope and port: 60.
inline constexpr size_t kMetadataBytesMax = 512;
inline constexpr size_t kUpdatesMax = 64;          // Per datagram; a bare one takes 100 bytes.
inline constexpr size_t kDatagramBytesMax = 1400;  // Larger ones are not looked at.
inline constexpr size_t kPushPullMembersMax = 32768;
inline constexpr size_t kPushPullBytesMax = 32 << 20;

struct GossipHeader {
  uint16_t version = kGossipVersion;
  uint16_t oldest = kOldestGossipVersion;
  Id128 cluster;
  MemberId sender;
  uint64_t map_version = 0;

  bool Readable() const { return oldest <= kGossipVersion && version >= kOldestGossipVersion; }
  friend bool operator==(const GossipHeader&, const GossipHeader&) = default;
};

struct GossipOnly {
  friend bool operator==(const GossipOnly&, const GossipOnly&) = default;
};
struct Ping {
  uint64_t sequence = 0;
  std::string name;
  Id128 nonce;
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct PingAck {
  uint64_t sequence = 0;
  Id128 nonce;
  friend bool operator==(const PingAck&, const PingAck&) = default;
};
struct PingReq {
  uint64_t sequence = 0;
  std::string name;
  Id128 nonce;
  friend bool operator==(const PingReq&, const PingReq&) = default;
};
struct Nack {
  uint64_t sequence = 0;
  friend bool operator==(const Nack&, const Nack&) = default;
};
using GossipBody = std::variant<GossipOnly, Ping, PingAck, PingReq, Nack>;

struct GossipDatagram {
  GossipHeader header;
  GossipBody body;
  std::vector<Member> updates;
  friend bool operator==(const GossipDatagram&, const GossipDatagram&) = default;
};

struct PushPull {
  GossipHeader header;
  std::vector<Member> members;
  GossipDigest digests = {};           // None, or kDigestBuckets.
  std::vector<uint16_t> buckets = {};  // Each below kDigestBuckets.
  friend bool operator==(const PushPull&, const PushPull&) = default;
};

std::vector<std::byte> Encode(const GossipDatagram& datagram);
std::vector<std::byte> Encode(const PushPull& push_pull);

// Exact: a datagram takes EncodedBytes(it without updates) plus the sum over its updates.
size_t EncodedBytes(const Member& update);
size_t EncodedBytes(const GossipHeader& header, const GossipBody& body);

// If the header is not Readable() only the header is decoded.
absl::StatusOr<GossipDatagram> DecodeDatagram(std::span<const std::byte> bytes);
absl::StatusOr<PushPull> DecodePushPull(std::span<const std::byte> bytes);

// The bounds above, for what the owner of this node says about it. Names and addresses are
// printable ASCII without blanks.
absl::Status CheckName(std::string_view name);
absl::Status CheckAddress(std::string_view address);
absl::Status CheckMetadata(std::string_view metadata);

}  // namespace troupe
