// MembershipMutations: rules of the register and of the map switched off one by one.
//
// For tests only: what a program is built of has no way to set them. Each must make the simulator,
// or a walk over a model, find a fork, a loss, a doubled effect or a stale read; which does, and
// after how many seeds, is in docs/simulation-mutations.md.
#pragma once

namespace troupe {

struct MembershipMutations {
  // The register (P2).
  bool promise_forgotten = false;      // P2.1: a voter takes back what it promised.
  bool ballot_reused = false;          // P2.1: one ballot for every value of a proposer.
  bool kept_after_rejection = false;   // P2.1: the kept ballot survives a rejection.
  bool equal_ballot_promised = false;  // P2.1: not only strictly higher ones.
  bool answer_before_durable = false;  // P2.2: and the write comes late.
  bool removed_voter_forgets = false;  // P2.3: a voter that has left the set begins empty.
  bool stale_proposer_served = false;  // P2.3: with a vote instead of the newest chosen value.
  bool build_on_unchosen = false;      // P2.4: what was found is not written back first.
  bool one_set_only = false;           // P2.4: a joint change counts `voters` alone.
  bool two_voter_changes = false;      // P2.4: in one value.
  bool answer_before_quorum = false;   // P2.5: one acceptance is enough.
  bool learn_accepted = false;         // P2.5: what a voter accepted counts as chosen.
  bool read_without_quorum = false;    // P2.5: a read is answered from what the proposer knows.
  bool founding_without_all = false;   // P2.11: a majority of the founders counts.
  // What commands do to the map (P1, P3).
  bool replaces_any_boot = false;      // P1.2: Register asks not which boot it replaces.
  bool entry_by_node = false;          // P1.3: a node's next run takes its last one's places.
  bool fence_removes_last = false;     // P1.3: Fence takes the last copy out as well.
  bool fence_any_generation = false;   // P1.4: Fence and Unfence ask not of which generation.
  bool alter_without_compare = false;  // P3.15: AlterIsr asks not for the isr_version.
  bool move_without_compare = false;   // P3.15: MovePrimary asks not for epoch and isr_version.
  bool elr_never_filled = false;       // P3.7
  bool elr_never_emptied = false;      // P3.7
  bool isr_takes_anyone = false;       // P3.7: AlterIsr adds copies that are no UP learners.
  bool isr_version_stays = false;      // P3.15: what a fence changes does not raise it.
  bool epoch_stays = false;            // P3.2: an election does not raise the epoch.
  bool min_isr_falls = false;          // P3.12: a Fence lowers it.
  bool no_wait_on_suspicion = false;   // P4.3: every Fence voids the leases of whom it is about.
  bool rename_without_lock = false;  // P3.18: the old process may live when its copies are renamed.
  bool rename_any_storage = false;   // P3.18: copies are renamed though their storage is gone.
  bool rename_in_epoch = false;      // P3.18: a renamed copy in sync does not begin an epoch.
};

inline constexpr MembershipMutations kNoMembershipMutations;

}  // namespace troupe
