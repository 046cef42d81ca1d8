#include "troupe/membership/gossip_digest.h"

namespace troupe {
namespace {

// FNV-1a, then SplitMix64's mixing.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return hash;
}
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace

uint16_t BucketOf(std::string_view name) {
  return static_cast<uint16_t>(Mix(HashOf(name)) % kDigestBuckets);
}

uint64_t DigestOf(const MemberId& id, uint64_t incarnation, MemberState state) {
  if (!IsHere(state)) return 0;
  uint64_t hash = Mix(HashOf(id.name) + 1);
  for (uint64_t part :
       {id.nonce.hi, id.nonce.lo, id.boot, incarnation, static_cast<uint64_t>(state)}) {
    hash = Mix(hash * 0x9E3779B97F4A7C15ull + part);
  }
  return hash;
}

void AddToDigest(const Member& member, GossipDigest& digest) {
  digest[BucketOf(member.id.name)] += DigestOf(member.id, member.incarnation, member.state);
}

std::vector<uint16_t> DifferingBuckets(const GossipDigest& a, const GossipDigest& b) {
  std::vector<uint16_t> differing;
  for (size_t i = 0; i < kDigestBuckets; ++i) {
    if (a[i] != b[i]) differing.push_back(static_cast<uint16_t>(i));
  }
  return differing;
}

}  // namespace troupe
