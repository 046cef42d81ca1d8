// GrantsGiven: the read leases that one copy has granted to primaries of its shard.
//
// Pure. A granter counts the whole lease from the receipt of the request, the primary 90 % of it
// from the sending (docs/protocol.md P4.1), so that what the granter waits for outlasts what the
// primary believes, with clocks that differ by a few percent. Source: Gray and Cheriton, "Leases:
// an efficient fault-tolerant mechanism", 1989.
#pragma once

#include <algorithm>
#include <map>

#include "absl/time/time.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// What the primary counts of a lease of length `lease`.
inline absl::Duration CountedLease(absl::Duration lease) { return lease * 0.9; }

class GrantsGiven {
 public:
  void Note(absl::Time now, CopyId primary, absl::Time until) {
    std::erase_if(until_, [now](const auto& grant) { return grant.second < now; });
    absl::Time& kept = until_.try_emplace(primary, until).first->second;
    kept = std::max(kept, until);
  }

  // Until when a new primary must wait: for the leases of all earlier primaries, but not for
  // `self`, nor for `void_boot`, which is proven dead or has handed over (P4.3).
  absl::Time WaitUntil(CopyId self, CopyId void_boot,
                       const ReplicaMutations& mutations = kNoMutations) const {
    absl::Time wait = absl::InfinitePast();
    if (void_boot != 0 && mutations.wait_voided_by_any) return wait;
    for (const auto& [primary, until] : until_) {
      if (primary == self || primary == void_boot) continue;
      wait = mutations.wait_for_last_only && wait != absl::InfinitePast() ? std::min(wait, until)
                                                                          : std::max(wait, until);
    }
    return wait;
  }

 private:
  std::map<CopyId, absl::Time> until_;
};

}  // namespace troupe
