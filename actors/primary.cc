#include "troupe/actors/primary.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {

Primary::Primary(CopyState& copy, ActorSource& source, absl::Time now, ReplicaEffects& out)
    : copy_(copy),
      source_(source),
      epoch_(copy.view.entry.epoch),
      wait_until_(std::max(
          copy.not_before,
          copy.mutations.no_lease_wait
              ? absl::InfinitePast()
              : copy.grants.WaitUntil(copy.self, copy.view.entry.no_wait, copy.mutations))) {
  OnMap(now, out);
}

void Primary::OnMap(absl::Time now, ReplicaEffects& out) {
  if (alter_.has_value() && entry().isr_version > alter_->command.isr_version) alter_.reset();
  if (move_.has_value() && move_->stage == Move::Stage::kProposed &&
      entry().isr_version != move_->command.isr_version) {
    move_.reset();  // Refused for ever: its compare cannot succeed any more (P3.14).
    if (serving()) out.serving.push_back({ServingChange::Kind::kAdmit, epoch_, 0});
  }
  if (EnoughCopies()) {
    below_since_.reset();
  } else if (!below_since_.has_value()) {
    below_since_ = copy_.RunTime(now);
  }
  SyncPeers();
  TickPeers(now, out);
  TryReconcile(now, out);
  Progress(now, out);
}

// P3.9: once every ISR copy has said what it holds, all are brought to what this one holds. The
// batch is taken from the store, which has no live state.
void Primary::TryReconcile(absl::Time now, ReplicaEffects& out) {
  if (phase_ != Phase::kCollecting) return;
  std::vector<CopyReport> reports;
  for (CopyId copy : entry().isr) {
    if (copy == copy_.self) continue;
    Peer& peer = peers_.at(copy);
    if (peer.stage != Peer::Stage::kReported) return;
    if (copy_.mutations.no_collection) peer.report.Begin(0);
    reports.push_back(peer.report.report());
  }
  Version version{epoch_, 1};
  std::vector<SharedUpdate> updates;
  for (const ActorId& actor : DifferingActors(copy_.store, reports)) {
    updates.push_back(copy_.store.Image(actor, version));
    copy_.store.Apply(*updates.back());
  }
  log_.Append(updates);
  copy_.position = version;
  copy_.Keep(updates);
  phase_ = Phase::kReconciling;
  for (auto& [id, peer] : peers_) {
    if (peer.stage == Peer::Stage::kReported) peer.stage = Peer::Stage::kStreaming;
  }
  SyncPeers();
  Progress(now, out);
}

CopySet Primary::Needed() const {
  CopySet needed = entry().isr;
  if (alter_.has_value()) {
    const CopySet& members = alter_->members;
    if (copy_.mutations.released_by_shrink) {
      std::erase_if(needed, [&](CopyId copy) { return !Contains(members, copy); });
    }
    if (!copy_.mutations.no_union && !copy_.mutations.released_by_shrink) {
      needed = Union(needed, members);
    }
  }
  if (admission_.has_value() && Follows(admission_->copy)) {
    needed = Union(needed, {admission_->copy});
  }
  return Without(needed, copy_.self);
}

// Whatever may have changed what is acknowledged, complete, or free to leave.
void Primary::Progress(absl::Time now, ReplicaEffects& out) {
  if (phase_ == Phase::kCollecting) return;
  uint64_t acked = copy_.Kept(epoch_, log_.newest());
  for (CopyId copy : Needed()) acked = std::min(acked, peers_.at(copy).held());
  acked_by_all_ = std::max(acked_by_all_, acked);
  // P3.5: the union has it, and there are enough copies, in one and the same map.
  if (copy_.mutations.answer_early) acked = log_.newest();
  if (EnoughCopies() || copy_.mutations.min_isr_at_admission) {
    complete_ = std::max(complete_, acked);
  }
  if (copy_.mutations.answer_before_reconciled) complete_ = std::max<uint64_t>(complete_, 1);
  copy_.store.RaiseMark({epoch_, copy_.mutations.mark_ahead ? log_.newest() : complete_});
  TrimLog();

  if (phase_ == Phase::kReconciling && complete_ >= 1 && now >= wait_until_) {
    phase_ = Phase::kServing;
    out.serving.push_back({ServingChange::Kind::kStart, epoch_, 0});
  }
  if (serving() && MayAnswer(now)) held_.Release(complete_, confirmed_, out.released);
}

// P3.13: a copy that is the last one in sync might have been given up by the operator.
bool Primary::MayAnswer(absl::Time now) const {
  bool sole = entry().isr.size() == 1 && copy_.view.nodes > 1;
  return !sole || now < confirmed_from_ + copy_.options.sole_copy_limit;
}

// P4.2: a grant is held from every copy that could be elected.
bool Primary::Leased(absl::Time now) const {
  CopySet electable = Union(entry().isr, entry().elr);
  if (alter_.has_value() && !copy_.mutations.pending_not_electable) {
    electable = Union(electable, alter_->members);
  }
  for (CopyId copy : Without(electable, copy_.self)) {
    const bool held = peers_.at(copy).lease_until > now;
    if (held && copy_.mutations.leased_by_one) return true;
    if (!held && !copy_.mutations.leased_by_one) return false;
  }
  return !copy_.mutations.leased_by_one || electable.size() == 1;
}

uint64_t Primary::Confirm(absl::Time now, ReplicaEffects& out) {
  if (confirming_ != 0) {
    // The one under way may have begun before this read arrived.
    if (copy_.mutations.confirmation_shared) return confirming_;
    confirm_again_ = true;
    return copy_.last_confirmation + 1;
  }
  BeginConfirmation(now, out);
  return confirming_;
}

void Primary::BeginConfirmation(absl::Time now, ReplicaEffects& out) {
  confirming_ = ++copy_.last_confirmation;
  confirming_since_ = now;
  confirm_again_ = false;
  out.confirm_read = confirming_;
}

void Primary::OnReadConfirmed(absl::Time now, uint64_t id, ReplicaEffects& out) {
  if (id > copy_.last_confirmation) return;
  confirmed_ = std::max(confirmed_, id);
  if (id == confirming_) {
    confirmed_from_ = confirming_since_;
    confirming_ = 0;
    if (confirm_again_) BeginConfirmation(now, out);
  }
  Progress(now, out);
}

absl::Status Primary::Admit(CallKind kind) const {
  if (!serving()) {
    return absl::UnavailableError(
        absl::StrCat("shard ", copy_.shard, ": epoch ", epoch_, " is being taken over"));
  }
  const bool drains = move_.has_value() && move_->stage == Move::Stage::kDraining;
  if (move_.has_value() && !(drains && kind == CallKind::kAwaited)) {
    return absl::UnavailableError(
        absl::StrCat("shard ", copy_.shard, " is moving to copy ", move_->command.to));
  }
  if (kind == CallKind::kReadOnly) return absl::OkStatus();
  if (!EnoughCopies()) {
    return absl::FailedPreconditionError(
        absl::StrCat("NotEnoughCopies: shard ", copy_.shard, " has ", entry().isr.size(),
                     " copies in sync, needs ", copy_.view.min_isr));
  }
  uint64_t behind = log_.newest() - complete_;
  if (behind >= copy_.options.unacknowledged_batches_max ||
      log_.bytes() >= copy_.options.unacknowledged_bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("shard ", copy_.shard, " has ", behind, " batches unacknowledged"));
  }
  return absl::OkStatus();
}

bool Primary::MayReadLocally(absl::Time now) const {
  if (copy_.mutations.reads_without_lease) return true;
  // P3.14: a handoff that was proposed may already have been made, and voids our leases.
  const bool handed_over = move_.has_value() && move_->stage == Move::Stage::kProposed;
  return Leased(now) && !handed_over;
}

ReadTicket Primary::StartRead(absl::Time now, ReplicaEffects& out) {
  return {MayReadLocally(now) ? 0 : Confirm(now, out)};
}

void Primary::Hold(absl::Time now, HoldToken token, const ActorId& actor, HoldKind kind,
                   ReadTicket ticket, ReplicaEffects& out) {
  // What an actor was before this epoch is answered for by the reconciliation (P6.3).
  Version version = copy_.store.VersionOf(actor);
  uint64_t seq = version.epoch == epoch_ ? version.seq : 1;
  if (copy_.mutations.outgoing_early && kind == HoldKind::kOutgoing) {
    out.released.push_back(token);
    return;
  }
  held_.Hold({token, kind == HoldKind::kRead ? ticket.confirmation : 0}, actor, kind, seq);
  if (MayAnswer(now)) held_.Release(complete_, confirmed_, out.released);
}

void Primary::Stop(CopyId next, ReplicaEffects& out) {
  bool moved = move_.has_value() && move_->command.to == next && next != 0;
  for (HoldToken token : held_.TakeAll()) {
    out.failed.emplace_back(token, moved ? HoldFailure::kMoved : HoldFailure::kNotPrimary);
  }
  if (serving()) out.serving.push_back({ServingChange::Kind::kStop, epoch_, next});
}

// ---- Batches.

SharedUpdate Primary::ApplyChange(const ActorId& actor, ActorChange change, Version version) {
  auto update = std::make_shared<ActorUpdate>();
  const StoredActor* held = copy_.store.Find(actor);
  update->actor = actor;
  update->version = version;
  update->turn = change.turn;
  update->oldest_unsettled = change.oldest_unsettled;
  update->resume = change.resume;
  update->called = change.called;
  update->state = std::move(change.state);
  update->records = std::move(change.records);
  update->reminders = std::move(change.reminders);
  update->watches = std::move(change.watches);
  update->hold = std::move(change.hold);
  if (change.removed) {
    update->kind = ActorUpdate::Kind::kTombstone;
    update->state = nullptr;
    update->records = RecordChanges();
    update->reminders = nullptr;
    update->watches = nullptr;
    update->hold = nullptr;
    change.outbox = nullptr;
  } else if (held != nullptr && !update->records.whole) {
    update->kind = ActorUpdate::Kind::kDelta;
    update->base = held->version;
  } else {
    update->kind = ActorUpdate::Kind::kImage;
    if (update->state == nullptr && held != nullptr) update->state = held->state;
    if (update->reminders == nullptr && held != nullptr) update->reminders = held->reminders;
    if (update->watches == nullptr && held != nullptr) update->watches = held->watches;
    if (change.outbox == nullptr && held != nullptr) change.outbox = held->outbox;
    if (update->hold == nullptr && held != nullptr) update->hold = held->hold;
  }
  if (change.outbox != nullptr) {
    const bool delta = update->kind == ActorUpdate::Kind::kDelta;
    update->outbox = std::make_shared<const OutboxChanges>(
        Difference(delta ? held->outbox : nullptr, change.outbox));
  }
  copy_.store.Apply(*update);
  if (copy_.mutations.record_outside_batch) {
    auto bare = std::make_shared<ActorUpdate>(*update);
    bare->records = RecordChanges();
    update = bare;
  }
  // A delta would find another base at the learner.
  if (restamp_.erase(actor) > 0) return copy_.store.Image(actor);
  return update;
}

void Primary::Cut() {
  if (phase_ == Phase::kCollecting || (!held_.dirty() && restamp_.empty())) return;
  Version version{epoch_, log_.newest() + 1};
  auto preserve = [this](const ActorId& actor) {
    for (auto& [id, peer] : peers_) {
      if (peer.feed.has_value()) peer.feed->Preserve(copy_.store, actor);
    }
  };
  std::vector<SharedUpdate> updates;
  for (auto& [actor, change] : held_.Cut(source_, version.seq, kBatchBytesMax)) {
    preserve(actor);
    updates.push_back(ApplyChange(actor, std::move(change), version));
  }
  for (const ActorId& actor : std::exchange(restamp_, {})) {
    preserve(actor);
    updates.push_back(copy_.store.Image(actor, version));
    copy_.store.Apply(*updates.back());
  }
  if (updates.empty()) return;
  log_.Append(updates);
  copy_.position = version;
  copy_.Keep(updates);
}

void Primary::Settle(absl::Time now, ReplicaEffects& out) {
  if (Needed().empty() && !copy_.DiskIsBusy()) {  // Else the end of that write asks.
    // No acknowledgement will ask for what one batch leaves.
    for (uint64_t before = 0; held_.dirty() && before != log_.newest();) {
      before = log_.newest();
      Cut();
    }
    if (!restamp_.empty()) Cut();
  }
  Progress(now, out);
  PlanMove(now, out);
}

}  // namespace troupe
