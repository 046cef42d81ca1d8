// MemberRecord: what a node believes about one other member, and what it saw of it.
//
// Kept small: a cluster holds one for each pair of its members. What the member says of itself is
// shared (description.h), and what few have at a time is held apart.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "troupe/membership/description.h"
#include "troupe/membership/member.h"
#include "troupe/membership/suspicion.h"

namespace troupe {

// A time in 8 bytes, where absl::Time takes 16: whole nanoseconds, of the years 1678 to 2261.
class CompactTime {
 public:
  CompactTime() = default;  // InfinitePast.
  CompactTime(absl::Time time) : nanos_(absl::ToUnixNanos(time)) {}
  operator absl::Time() const {
    return nanos_ == kNever ? absl::InfinitePast() : absl::FromUnixNanos(nanos_);
  }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
  int64_t nanos_ = kNever;
};

struct MemberRecord {
  struct Rare {
    absl::Time since;                    // Dead or left since then.
    std::string accuser;                 // As in Member.
    std::optional<Suspicion> suspicion;  // Set exactly while suspect.

    // The last process known dead under this name: old rumours that it lives are not believed.
    Id128 former_nonce;
    Rank former_rank;
    Id128 rival_nonce;  // A conflict said once.
  };

  // Of the rank that is believed, which an accusation may have raised. Never null in a MemberList.
  std::shared_ptr<const Description> description;
  // Null while it is alive and no other process has claimed its name.
  std::unique_ptr<Rare> rare;
  uint64_t map_version = 0;  // The newest map it is known to hold.
  CompactTime traffic;       // Last seen by the owner on its links.
  CompactTime datagram;      // Last that came from it.
  int failed_probes = 0;     // Of ours, in a row.
  MemberState state = MemberState::kAlive;
  bool in_ring = false;  // Of those to probe; as long as there is a record.

  const MemberId& id() const { return description->id; }
  const std::string& name() const { return description->id.name; }
  Rank rank() const { return description->rank(); }
  bool IsHere() const { return troupe::IsHere(state); }
  Rare& NeedRare();
  Member ToMember() const;
};

}  // namespace troupe
