// ReplicaMutations: rules of the replication protocol switched off one by one.
//
// For tests only: each must make the model test find a lost or doubled call or a stale read. A rule
// whose absence no test notices is not tested.
#pragma once

namespace troupe {

struct ReplicaMutations {
  bool accept_old_epochs = false;         // Against P3.2.
  bool lease_from_receipt = false;        // Against P4.1.
  bool grow_before_tail = false;          // Against P3.8.
  bool grow_in_lease_wait = false;        // Against P3.9.
  bool record_outside_batch = false;      // Against P6.2.
  bool no_union = false;                  // Against P3.5: a pending AlterIsr does not count.
  bool released_by_shrink = false;        // Against P3.5: a proposed shrink counts as done.
  bool min_isr_at_admission = false;      // Against P3.5: not judged when the answer leaves.
  bool answer_before_reconciled = false;  // Against P3.9.
  bool no_lease_wait = false;             // Against P4.3.
  bool move_while_serving = false;        // Against P3.14.
  bool pending_not_electable = false;     // Against P4.2.
  bool mark_ahead = false;                // Against P3.4: says all have what was only sent.
  bool no_restamp = false;                // Against P3.8: a learner keeps what it holds beyond us.
};

inline constexpr ReplicaMutations kNoMutations;

}  // namespace troupe
