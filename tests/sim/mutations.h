// Mutations: all deliberately broken variants of the protocol, by name, each with its rule.
//
// A program cannot reach them: they are set in the options of a run, which only tests set.
#pragma once

#include <cstdlib>
#include <string_view>
#include <vector>

#include "troupe/sim/run.h"

namespace troupe::sim {

// What finds it within 2,000 seeds.
enum class FoundBy {
  kTrial,   // Whole clusters.
  kModel,   // Only the walks over a model, or tests of the class; named in `second`.
  kMargin,  // Nothing can go wrong without it: another rule stands behind it; named in `second`.
};

struct Mutation {
  std::string_view name;
  std::string_view rule;  // Of docs/protocol.md.
  void (*set)(RunOptions& options);
  FoundBy found_by = FoundBy::kTrial;
  std::string_view second = "";
};

inline std::vector<Mutation> AllMutations() {
#define MAP_RULE(name, rule, ...)                                                            \
  {                                                                                          \
#name, rule, [](RunOptions & options) { options.membership.name = true; }, ##__VA_ARGS__ \
  }
#define COPY_RULE(name, rule, ...)                                                        \
  {                                                                                       \
#name, rule, [](RunOptions & options) { options.replica.name = true; }, ##__VA_ARGS__ \
  }
  return {
      MAP_RULE(promise_forgotten, "P2.1"),
      MAP_RULE(ballot_reused, "P2.1"),
      MAP_RULE(kept_after_rejection, "P2.1", FoundBy::kMargin,
               "what voters have promised refuses such a ballot"),
      MAP_RULE(equal_ballot_promised, "P2.1", FoundBy::kMargin,
               "a ballot carries a nonce and is used once"),
      MAP_RULE(answer_before_durable, "P2.2"),
      MAP_RULE(removed_voter_forgets, "P2.3", FoundBy::kTrial,
               "RegisterSim.FindsAVoterThatForgets"),
      MAP_RULE(stale_proposer_served, "P2.3", FoundBy::kModel,
               "RegisterProposer.ThatIsBehindLearnsFromAVoterThatLeft"),
      MAP_RULE(build_on_unchosen, "P2.4", FoundBy::kModel,
               "RegisterSim.FindsAChangeBuiltOnWhatWasNeverChosen"),
      MAP_RULE(one_set_only, "P2.4", FoundBy::kTrial,
               "RegisterSim.FindsAJointChangeThatCountsOneSet"),
      MAP_RULE(two_voter_changes, "P2.4", FoundBy::kMargin,
               "such a value needs majorities of the sets before and after"),
      MAP_RULE(answer_before_quorum, "P2.5"),
      MAP_RULE(learn_accepted, "P2.5"),
      MAP_RULE(read_without_quorum, "P2.5"),
      MAP_RULE(founding_without_all, "P2.11", FoundBy::kModel,
               "MembershipSim.AFounderThatDiesEarlyIsDoneWithout"),
      MAP_RULE(replaces_any_boot, "P1.2", FoundBy::kModel,
               "Register.IsRefusedWhenItReplacesAnotherBootThanTheCurrent"),
      MAP_RULE(entry_by_node, "P1.3"),
      MAP_RULE(fence_removes_last, "P1.3"),
      MAP_RULE(fence_any_generation, "P1.4", FoundBy::kModel,
               "Fence.* of cluster_state_test: costs availability"),
      MAP_RULE(alter_without_compare, "P3.15"),
      MAP_RULE(move_without_compare, "P3.15", FoundBy::kModel,
               "MovePrimary.* of cluster_state_test"),
      MAP_RULE(elr_never_filled, "P3.7"),
      MAP_RULE(elr_never_emptied, "P3.7"),
      MAP_RULE(isr_takes_anyone, "P3.7", FoundBy::kModel,
               "AlterIsr.AddsOnlyLearnersOnUpNodesAndKeepsThePrimary"),
      MAP_RULE(isr_version_stays, "P3.15"),
      MAP_RULE(epoch_stays, "P3.2"),
      MAP_RULE(min_isr_falls, "P3.12"),
      MAP_RULE(no_wait_on_suspicion, "P4.3"),
      MAP_RULE(rename_without_lock, "P3.18", FoundBy::kModel,
               "ClusterWalk.FindsCopiesThatAreRenamedAgainstTheRules"),
      MAP_RULE(rename_any_storage, "P3.18", FoundBy::kModel,
               "ClusterWalk.FindsCopiesThatAreRenamedAgainstTheRules"),
      MAP_RULE(rename_in_epoch, "P3.18", FoundBy::kModel,
               "ClusterWalk.FindsCopiesThatAreRenamedAgainstTheRules"),
      COPY_RULE(accept_old_epochs, "P3.2"),
      COPY_RULE(rejected_goes_on, "P3.2", FoundBy::kMargin,
                "who has promised more acknowledges nothing"),
      COPY_RULE(any_target, "P3.2", FoundBy::kMargin, "a link leads to one process"),
      COPY_RULE(gap_accepted, "P3.3", FoundBy::kMargin,
                "a link loses nothing in its middle, and sends again from what is acknowledged"),
      COPY_RULE(no_base_check, "P3.3", FoundBy::kMargin, "without a gap the base is there"),
      COPY_RULE(mark_ahead, "P3.4"),
      COPY_RULE(answer_early, "P3.5"),
      COPY_RULE(released_by_shrink, "P3.5"),
      COPY_RULE(min_isr_at_admission, "P3.5"),
      COPY_RULE(no_union, "P3.6"),
      COPY_RULE(pending_times_out, "P3.6"),
      COPY_RULE(grow_before_tail, "P3.8"),
      COPY_RULE(no_restamp, "P3.8"),
      COPY_RULE(answer_before_reconciled, "P3.9"),
      COPY_RULE(grow_in_lease_wait, "P3.9"),
      COPY_RULE(same_epoch_goes_on, "P3.9", FoundBy::kMargin,
                "the copies have promised the higher epoch"),
      COPY_RULE(no_collection, "P3.9"),
      COPY_RULE(part_of_batch, "P3.9", FoundBy::kModel,
                "simulated batches fit into one part: ReplicaCodec.*"),
      COPY_RULE(move_while_serving, "P3.14", FoundBy::kModel,
                "ShardModelWithout.IsFoundOut/move_while_serving"),
      COPY_RULE(lease_from_receipt, "P4.1"),
      COPY_RULE(lease_on_old_map, "P4.1", FoundBy::kModel,
                "ShardReplica.ConfirmsReadsWhenOneElectableCopyHasNotGranted"),
      COPY_RULE(lease_forever, "P4.1"),
      COPY_RULE(pending_not_electable, "P4.2", FoundBy::kModel,
                "ShardModelWithout.IsFoundOut/pending_not_electable"),
      COPY_RULE(leased_by_one, "P4.2"),
      COPY_RULE(reads_without_lease, "P4.2"),
      COPY_RULE(confirmation_shared, "P4.2", FoundBy::kModel,
                "ShardReplica.ConfirmsReadsWhenOneElectableCopyHasNotGranted"),
      COPY_RULE(no_lease_wait, "P4.3"),
      COPY_RULE(wait_voided_by_any, "P4.3"),
      COPY_RULE(wait_for_last_only, "P4.3"),
      COPY_RULE(early_for_own_map, "P4.4", FoundBy::kModel,
                "ClusterTest.ANewRunTakesNoDataBeforeItsMapShowsItself"),
      COPY_RULE(leads_at_once, "P4.4", FoundBy::kModel,
                "ShardModelWithout.IsFoundOut/leads_at_once"),
      COPY_RULE(acknowledged_unwritten, "P3.19", FoundBy::kModel,
                "ShardModelWithout.IsFoundOut/acknowledged_unwritten"),
      COPY_RULE(synced_unwritten, "P3.19", FoundBy::kModel,
                "ShardModelWithout.IsFoundOut/synced_unwritten"),
      COPY_RULE(record_outside_batch, "P6.2"),
      COPY_RULE(records_forgotten, "P6.2"),
      COPY_RULE(repeat_runs_again, "P6.3"),
      COPY_RULE(repeat_answered_early, "P6.3"),
      COPY_RULE(floor_forgotten, "P6.4", FoundBy::kModel, "RecordTable.KeepsTheFloorWhenRecordsGo"),
      COPY_RULE(floor_too_high, "P6.4"),
      COPY_RULE(caller_mark_ahead, "P6.5"),
      COPY_RULE(lower_caller_epoch, "P6.5", FoundBy::kModel,
                "RecordTable.RefusesALowerEpochOfTheCaller"),
      COPY_RULE(ordinal_forgotten, "P6.5"),
      COPY_RULE(outgoing_early, "P6.6"),
      COPY_RULE(told_early, "P6.6", FoundBy::kTrial, "TellTest.ThatLeavesBeforeItIsSafeIsFoundOut"),
      COPY_RULE(told_outside_batch, "P6.6", FoundBy::kTrial,
                "TellTest.ThatIsNotPartOfTheBatchIsFoundOut"),
      COPY_RULE(told_record_dropped, "P6.6", FoundBy::kTrial,
                "TellTest.ThatCountsAsSettledBeforeItIsAnsweredIsFoundOut"),
      COPY_RULE(nested_not_kept, "P6.17", FoundBy::kTrial,
                "ReentrantTest.OneThatIsNotKeptWithItsRecordIsFoundOut"),
      COPY_RULE(cancel_ends_turn, "P6.7"),
      COPY_RULE(failure_keeps_state, "P6.7"),
      COPY_RULE(open_turn_saved, "P6.8"),
      COPY_RULE(overtaking, "P6.9", FoundBy::kMargin,
                "a call of a client is refused once a later one has begun"),
      COPY_RULE(overtaken_runs, "P6.9", FoundBy::kModel,
                "OrderTest.WhatIsRunBehindWhatWasSentBehindItIsFoundOut"),
      COPY_RULE(place_of_first_arrival, "P6.9", FoundBy::kModel,
                "OrderTest.APlaceThatGoesWithTheFirstArrivalIsFoundOut"),
      COPY_RULE(reads_inside_turns, "P6.9"),
      COPY_RULE(passivated_early, "P6.10", FoundBy::kTrial,
                "LifeTest.AnObjectThatGoesBeforeItsChangesAreSafeIsFoundOut"),
      COPY_RULE(reminder_outside_batch, "P6.13", FoundBy::kTrial,
                "TimeTest.AReminderThatGoesOnOutsideTheBatchOfItsTurnIsFoundOut"),
      COPY_RULE(notice_outside_batch, "P6.16", FoundBy::kTrial,
                "WatchTest.ThatGoesBeforeItsNoticeHasRunIsFoundOut"),
      COPY_RULE(watches_outside_batch, "P6.16", FoundBy::kTrial,
                "WatchTest.ThatIsNotPartOfTheBatchIsFoundOut"),
      COPY_RULE(any_watch_ends, "P6.16", FoundBy::kModel,
                "WatchTest.ThatIsEndedByTheNoticeOfAnEarlierOneIsFoundOut"),
      COPY_RULE(hold_outside_batch, "P6.15", FoundBy::kTrial,
                "TransactionWithoutTest.AHoldOutsideOfTheBatchIsFoundOut"),
      COPY_RULE(grant_not_compared, "P6.15", FoundBy::kTrial,
                "TransactionWithoutTest.AGrantThatIsNotComparedIsFoundOut"),
      COPY_RULE(conflict_unrecorded, "P6.15", FoundBy::kModel,
                "TransactionWithoutTest.AConflictThatIsNotRecordedIsFoundOut"),
      COPY_RULE(told_before_commit, "P6.15", FoundBy::kTrial,
                "TransactionWithoutTest.ATellThatLeavesBeforeTheCommitIsFoundOut"),
      COPY_RULE(ask_forgets_outbox, "P6.15", FoundBy::kTrial,
                "TransactionWithoutTest.AnAnswerThatForgetsTheOutboxIsFoundOut"),
      COPY_RULE(ask_answered_early, "P6.15", FoundBy::kModel,
                "TransactionWithoutTest.AnAnswerThatIsNotSafeIsFoundOut"),
      COPY_RULE(hold_ends_by_itself, "P6.15", FoundBy::kTrial,
                "TransactionWithoutTest.AHoldThatEndsByItselfIsFoundOut"),
      COPY_RULE(finish_answered_early, "P6.15", FoundBy::kModel,
                "TransactionWithoutTest.AFinishThatIsAnsweredBeforeItIsSafeIsFoundOut"),
  };
#undef MAP_RULE
#undef COPY_RULE
}

// Seeds until something is found, as `./dev sim --seeds 1..N` runs them, or 0 after `seeds_max`
// without.
inline uint64_t SeedsUntilFound(const Mutation& mutation, uint64_t seeds_max, RunResult& found) {
  RunOptions options;
  mutation.set(options);
  if (const char* prefix = std::getenv("TROUPE_PREFIX")) options.prefix = prefix;
  for (options.seed = 1; options.seed <= seeds_max; ++options.seed) {
    found = RunSeed(options);
    if (!found.problems.empty()) return options.seed;
  }
  return 0;
}

}  // namespace troupe::sim
