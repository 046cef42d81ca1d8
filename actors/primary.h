// Primary: a copy that leads one epoch of its shard. A part of ShardReplica.
//
// Pure. From kCollecting (asks the ISR what it holds) over kReconciling (brings it to one state and
// waits out leases) to kServing; made anew for each epoch (docs/protocol.md P3.9). An answer leaves
// when the union of ISR and pending AlterIsr has its batch and the ISR has min_isr members, both
// judged by the newest map at that moment (P3.5).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "troupe/actors/batch_log.h"
#include "troupe/actors/copy_state.h"
#include "troupe/actors/held_answers.h"
#include "troupe/actors/peer.h"

namespace troupe {

class Primary {
 public:
  // Leads the epoch of copy.view from now.
  Primary(CopyState& copy, ActorSource& source, absl::Time now, ReplicaEffects& out);

  // copy.view is newer and still names this copy and epoch.
  void OnMap(absl::Time now, ReplicaEffects& out);
  void OnAck(absl::Time now, CopyId from, const Ack& ack, ReplicaEffects& out);
  void OnReport(absl::Time now, CopyId from, const Report& report, ReplicaEffects& out);
  void OnReadConfirmed(absl::Time now, uint64_t id, ReplicaEffects& out);
  void OnWritten(absl::Time now, ReplicaEffects& out) { Progress(now, out); }
  void OnPeerConnected(CopyId peer);
  void Tick(absl::Time now, ReplicaEffects& out);
  absl::Time NextDeadline() const;
  // The end: what is held fails. `next`: who leads now, 0 if not known.
  void Stop(CopyId next, ReplicaEffects& out);

  absl::Status Admit(CallKind kind) const;
  ReadTicket StartRead(absl::Time now, ReplicaEffects& out);
  void MarkDirty(const ActorId& actor) { held_.MarkDirty(actor); }
  void Stage(const ActorId& actor, ActorChange change) { held_.Stage(actor, std::move(change)); }
  void Hold(absl::Time now, HoldToken token, const ActorId& actor, HoldKind kind, ReadTicket ticket,
            ReplicaEffects& out);
  absl::Status BeginMove(absl::Time now, CopyId to, ReplicaEffects& out);

  void Settle(absl::Time now, ReplicaEffects& out);
  bool HasUnsent(CopyId peer) const;
  void CollectFor(absl::Time now, CopyId peer, ReplicaEffects& out);
  std::vector<CopyId> Peers() const;

  Epoch epoch() const { return epoch_; }
  bool serving() const { return phase_ == Phase::kServing; }
  // Up to here all copies that count have what answers may show; seq 0: nothing yet.
  Version complete() const { return {epoch_, complete_}; }
  // A read that starts now needs no confirmation (P4.2, P3.14).
  bool MayReadLocally(absl::Time now) const;

 private:
  enum class Phase : uint8_t { kCollecting, kReconciling, kServing };

  // A command whose outcome is not known: from before it is sent until a map shows a change (P3.6).
  struct PendingAlter {
    AlterIsr command;
    CopySet members;  // Count as ISR.
    absl::Time sent;
    absl::Time since;
  };
  struct Move {
    enum class Stage : uint8_t { kDraining, kProposed } stage = Stage::kDraining;
    MovePrimary command;
    absl::Time since;
    absl::Time sent;
  };

  // A learner that is behind only by what is under way: while it is let in, answers wait for it.
  struct Admission {
    CopyId copy = 0;
    absl::Time since;
  };

  const ShardEntry& entry() const { return copy_.view.entry; }
  bool EnoughCopies() const { return entry().isr.size() >= copy_.view.min_isr; }

  // ---- primary.cc: epochs, completion, answers
  CopySet Needed() const;
  void Progress(absl::Time now, ReplicaEffects& out);
  void TryReconcile(absl::Time now, ReplicaEffects& out);
  bool MayAnswer(absl::Time now) const;
  bool Leased(absl::Time now) const;
  uint64_t Confirm(absl::Time now, ReplicaEffects& out);
  void BeginConfirmation(absl::Time now, ReplicaEffects& out);
  void Cut();
  SharedUpdate ApplyChange(const ActorId& actor, ActorChange change, Version version);

  // ---- primary_peers.cc: what goes to each copy
  void SyncPeers();
  void BeginReport(Peer& peer);
  void StartLearner(absl::Time now, Peer& peer);
  void RestartSlowLearners();
  void TrimLog();
  ReplicaMessage Make(absl::Time now, CopyId to, ReplicaBody body) const;
  void Send(absl::Time now, CopyId to, Peer& peer, ReplicaBody body, ReplicaEffects& out);
  void TickPeers(absl::Time now, ReplicaEffects& out);

  // ---- primary_plan.cc: changes of the ISR, moves
  void PlanIsr(absl::Time now, ReplicaEffects& out);
  bool IsSilent(absl::Time now, CopyId copy) const;
  CopySet Silent(absl::Time now) const;
  bool Follows(CopyId copy) const;
  bool MayGrow(absl::Time now) const;
  bool HasAllThatCounts(const Peer& peer) const;
  CopySet ReadyToJoin(absl::Time now) const;
  void PlanAdmission(absl::Time now);
  void Propose(absl::Time now, CopySet isr, ReplicaEffects& out);
  AlterIsr Withdrawal() const;
  void RepeatAlter(absl::Time now, ReplicaEffects& out);
  void PlanMove(absl::Time now, ReplicaEffects& out);
  void PlanResignation(absl::Time now, ReplicaEffects& out);
  void ProposeMove(absl::Time now, ReplicaEffects& out);

  CopyState& copy_;
  ActorSource& source_;
  const Epoch epoch_;
  const absl::Time wait_until_;  // Leases that this copy gave to earlier primaries (P4.3, P4.4).
  Phase phase_ = Phase::kCollecting;

  std::map<CopyId, Peer> peers_;
  uint64_t last_request_ = 0;
  BatchLog log_;
  std::set<ActorId> restamp_;  // Go whole into the next batch, for a learner that held more (P3.8).
  uint64_t acked_by_all_ = 0;  // What the union of ISR and pending AlterIsr has acknowledged ...
  uint64_t complete_ = 0;      // ... while there were min_isr copies: the all-have-it mark.
  HeldAnswers held_;

  std::optional<PendingAlter> alter_;
  std::optional<Admission> admission_;
  absl::Time next_admission_ = absl::InfinitePast();
  absl::Time planned_ = absl::InfinitePast();  // When changes of the ISR were last thought of.
  std::optional<Move> move_;
  std::optional<absl::Duration> below_since_;  // In run time: fewer than min_isr copies.

  uint64_t confirming_ = 0;  // The ConfirmRead under way; 0: none.
  bool confirm_again_ = false;
  absl::Time confirming_since_ = absl::InfinitePast();
  uint64_t confirmed_ = 0;
  absl::Time confirmed_from_ = absl::InfinitePast();  // When the last one that came back began.
};

}  // namespace troupe
