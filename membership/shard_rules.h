// Shard rules: what every command leaves true of every shard, whatever it did (docs/protocol.md
// P3.7).
//
// Pure. A command changes nodes, or writes the set or the primary it wants into a shard; Settle
// then draws the consequences: who left, who is electable, who is elected, what is lost.
#pragma once

#include "troupe/membership/cluster_state.h"
#include "troupe/membership/placement.h"

namespace troupe {

// Makes `copy` the primary of a new epoch. `no_wait` is the boot about which there is proof of
// death, or the old primary of a planned handoff; 0: none.
void Elect(ShardEntry& shard, CopyId copy, Boot no_wait);

// Takes `after.shards` from what the command wrote to what must hold. `no_wait` as above, for the
// elections that follow from the command.
//
// - A copy that no longer exists is in no set; learners live on live nodes.
// - The ISR of a shard with a primary is alive, and the primary is in it: else one is elected,
//   from the live ISR copies, or if there are none from ELR.
// - With nobody to elect the sets stay and the shard waits; with no copy left it is LOST.
// - Members that leave the ISR enter ELR while the ISR is smaller than min_isr; a primary with an
//   ISR of min_isr empties it.
// - isr_version rises with every change of the ISR and every election.
void Settle(const ClusterState& before, ClusterState& after, Boot no_wait,
            const MembershipMutations& mutations = kNoMembershipMutations);

// min_isr of each role, as the rule wants it for so many nodes (P3.12): the two moments it may
// change.
void LowerMinIsr(ClusterState& state);  // Before Settle.
void RaiseMinIsr(ClusterState& state);  // After Settle.

// What must hold of every value of the register. Errors: InvalidArgument says what does not.
absl::Status Validate(const ClusterState& state);

}  // namespace troupe
