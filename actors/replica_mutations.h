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
  bool gap_accepted = false;              // Against P3.3: a batch that is not the next one.
  bool no_base_check = false;             // Against P3.3: a delta on another version.
  bool rejected_goes_on = false;          // Against P3.2: a primary that is rejected.
  bool any_target = false;                // Against P3.2: takes what was meant for an earlier run.
  bool answer_early = false;              // Against P3.5: an answer leaves with its batch.
  bool pending_times_out = false;         // Against P3.6.
  bool same_epoch_goes_on = false;        // Against P3.9: elected anew, it goes on as it was.
  bool no_collection = false;             // Against P3.9: its tail goes out without asking.
  bool part_of_batch = false;             // Against P3.9: one chunk of a batch is taken for all.
  bool lease_on_old_map = false;          // Against P4.1: a grant counts though its map is newer.
  bool lease_forever = false;             // Against P4.1: a grant holds for ten times its length.
  bool leased_by_one = false;             // Against P4.2: a grant of any one copy is enough.
  bool reads_without_lease = false;       // Against P4.2: neither lease nor confirmation.
  bool confirmation_shared = false;       // Against P4.2: with a write-back begun before the read.
  bool wait_voided_by_any = false;        // Against P4.3: proof about one boot voids all leases.
  bool wait_for_last_only = false;        // Against P4.3: for the latest grant, not for all.
  bool early_for_own_map = false;         // Against P4.4: takes data before its own Register.
  bool leads_at_once = false;             // Against P4.4: restarted, without waiting for leases.
  bool acknowledged_unwritten = false;    // Against P3.19: before the disk has it.
  bool synced_unwritten = false;          // Against P3.19: a learner, before its disk has it all.
  // Calls and records.
  bool repeat_runs_again = false;       // Against P6.3: a known id is not looked up.
  bool repeat_answered_early = false;   // Against P6.3: from a record that is not yet safe.
  bool records_forgotten = false;       // Against P6.2: a new activation begins without records.
  bool floor_forgotten = false;         // Against P6.4: with the records it stood for.
  bool floor_too_high = false;          // Against P6.4: records go while a retry may come.
  bool caller_mark_ahead = false;       // Against P6.5: unsettled turns count as settled.
  bool lower_caller_epoch = false;      // Against P6.5: calls of an undone past are run.
  bool ordinal_forgotten = false;       // Against P6.5: ids of outgoing calls are not derived.
  bool outgoing_early = false;          // Against P6.6.
  bool told_early = false;              // Against P6.6: what a turn tells leaves with its end.
  bool told_outside_batch = false;      // Against P6.6: copies do not get what was told.
  bool told_record_dropped = false;     // Against P6.5, P6.6: what is told counts as settled.
  bool nested_not_kept = false;         // Against P6.17: what runs within a turn is its alone.
  bool cancel_ends_turn = false;        // Against P6.7: a turn past its deadline is undone.
  bool failure_keeps_state = false;     // Against P6.7: what a failed turn changed stays.
  bool open_turn_saved = false;         // Against P6.8: a snapshot of an open turn.
  bool overtaking = false;              // Against P6.9: what follows a refused call may run.
  bool place_of_first_arrival = false;  // Against P6.9: its time up, a call sent again goes back.
  bool overtaken_runs = false;          // Against P6.9: behind what was sent behind it.
  bool reads_inside_turns = false;      // Against P6.9: `$readOnly` in an open mutating turn.
  bool passivated_early = false;        // Against P6.10: with changes that are not acknowledged.
  bool reminder_outside_batch = false;  // Against P6.13: it goes on before its turn has run.
  bool notice_outside_batch = false;    // Against P6.16: a watch goes before its notice has run.
  bool watches_outside_batch = false;   // Against P6.16: copies do not get them.
  bool any_watch_ends = false;          // Against P6.16: by a notice of an earlier watch, too.
  bool hold_outside_batch = false;      // Against P6.15: copies do not get what holds an actor.
  bool grant_not_compared = false;      // Against P6.15: a later hold goes on for one that ended.
  bool conflict_unrecorded = false;  // Against P6.15: a run that ended by it may come about later.
  bool told_before_commit = false;   // Against P6.15: what tentative turns tell leaves at once.
  bool ask_forgets_outbox = false;   // Against P6.15: committed, and still to be told, is aborted.
  bool ask_answered_early = false;   // Against P6.15: with what is not safe yet.
  bool hold_ends_by_itself = false;  // Against P6.15: at its limit, without having asked.
  bool finish_answered_early = false;  // Against P6.15: before it is safe that the hold has ended.
};

inline constexpr ReplicaMutations kNoMutations;

}  // namespace troupe
