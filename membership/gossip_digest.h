// GossipDigest: what a node believes about everybody in 2 KB, so that two can see where they
// differ.
//
// Members are spread over buckets by a hash of their names; a bucket's digest is the sum of hashes
// of those who are here: process, rank, and whether it is suspect. The dead and left do not count:
// who has forgotten one earlier than another differs in nothing that matters. Not a protection
// against forgery: whoever may speak can lie. Pure values; the hash is part of the protocol
// (gossip.capnp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "troupe/membership/member.h"

namespace troupe {

// At 10,000 members one that differs costs 39 lines; fewer buckets save less than they cost.
inline constexpr size_t kDigestBuckets = 256;

using GossipDigest = std::vector<uint64_t>;  // kDigestBuckets, or none.

uint16_t BucketOf(std::string_view name);
// What a member adds to its bucket's digest; 0 when it is not here.
uint64_t DigestOf(const MemberId& id, uint64_t incarnation, MemberState state);
void AddToDigest(const Member& member, GossipDigest& digest);
// The buckets in which two digests differ; both must have kDigestBuckets.
std::vector<uint16_t> DifferingBuckets(const GossipDigest& a, const GossipDigest& b);

}  // namespace troupe
