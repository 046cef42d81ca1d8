// Primary, part three: what it wants changed in the map, and what time brings.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/actors/primary.h"

namespace troupe {
namespace {

// A learner may be this far behind when it is proposed: from then on every answer waits for it.
constexpr uint64_t kJoinLag = 2;

// To be let in, a learner may be this far behind, and has so long to have what counted then.
constexpr uint64_t kAdmissionLag = 4096;
constexpr size_t kAdmissionBytes = 4 << 20;
constexpr absl::Duration kAdmissionLimit = absl::Milliseconds(500);
constexpr absl::Duration kAdmissionPause = absl::Seconds(5);

constexpr absl::Duration kPlanEvery = absl::Milliseconds(20);

constexpr absl::Duration kSoleConfirmEvery =
    absl::Milliseconds(500);  // A quarter of P3.13's limit.

}  // namespace

void Primary::Tick(absl::Time now, ReplicaEffects& out) {
  TickPeers(now, out);
  bool sole = entry().isr.size() == 1 && copy_.view.nodes > 1;
  if (sole && confirming_ == 0 && now >= confirming_since_ + kSoleConfirmEvery) {
    BeginConfirmation(now, out);
  }
  if (confirming_ != 0 && now >= confirming_since_ + copy_.options.confirm_limit) {
    BeginConfirmation(now, out);
  }
  RepeatAlter(now, out);
  PlanIsr(now, out);
  PlanMove(now, out);
  PlanResignation(now, out);
  Progress(now, out);
}

absl::Time Primary::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, peer] : peers_) {
    if (peer.in_isr || copy_.view.IsAlive(id)) {
      next = std::min(next, peer.asked + copy_.options.lease / 3);
    }
    // Batches put heartbeats off, but not the question whether a learner may join.
    if (!peer.in_isr && peer.stage == Peer::Stage::kStreaming && !alter_.has_value()) {
      next = std::min(next, planned_ + kPlanEvery);
    }
    bool waits = peer.awaited() || peer.stage == Peer::Stage::kReporting;
    if (waits) next = std::min(next, peer.progress + copy_.options.resend_after);
  }
  if (phase_ == Phase::kReconciling && complete_ >= 1) next = std::min(next, wait_until_);
  if (alter_.has_value()) next = std::min(next, alter_->sent + copy_.options.repeat_after);
  if (move_.has_value()) next = std::min(next, move_->sent + copy_.options.repeat_after);
  bool sole = entry().isr.size() == 1 && copy_.view.nodes > 1;
  if (sole || confirming_ != 0) next = std::min(next, confirming_since_ + kSoleConfirmEvery);
  return next;
}

// ---- The ISR.

bool Primary::IsSilent(absl::Time now, CopyId copy) const {
  const Peer& peer = peers_.at(copy);
  absl::Duration limit = std::max(copy_.options.silence_min, 2 * copy_.round_trip_timeout);
  if (peer.unanswered.has_value() && copy_.RunTime(now) - *peer.unanswered > limit) return true;
  // It answers, but its disk does not (P3.19).
  return copy_.disk.has_value() && peer.owes.has_value() &&
         copy_.RunTime(now) - *peer.owes > copy_.options.disk_limit;
}

CopySet Primary::Silent(absl::Time now) const {
  CopySet silent;
  for (CopyId copy : Without(entry().isr, copy_.self)) {
    if (peers_.at(copy).lost || IsSilent(now, copy)) silent.push_back(copy);
  }
  return silent;
}

// It gets every batch, and can apply it.
bool Primary::Follows(CopyId copy) const {
  auto peer = peers_.find(copy);
  return peer != peers_.end() && peer->second.stage == Peer::Stage::kStreaming &&
         !peer->second.lost;
}

// P3.9: not before all have the reconciliation and the leases are waited out. A copy that joined
// earlier could be elected without having granted, or waited for, any of them.
bool Primary::MayGrow(absl::Time now) const {
  const bool settled = phase_ != Phase::kCollecting && acked_by_all_ >= 1 && now >= wait_until_;
  return settled || copy_.mutations.grow_in_lease_wait;
}

// P3.8: the comparison is complete and the stream has everything that was ever answered.
bool Primary::HasAllThatCounts(const Peer& peer) const {
  return peer.stage == Peer::Stage::kStreaming &&
         peer.acked >= std::max({peer.join_seq, complete_, uint64_t{1}});
}

CopySet Primary::ReadyToJoin(absl::Time now) const {
  CopySet ready;
  if (!MayGrow(now)) return ready;
  for (CopyId copy : entry().learners) {
    if (copy == copy_.self || !copy_.view.IsUp(copy)) continue;
    const Peer& peer = peers_.at(copy);
    const bool let_in = admission_.has_value() && admission_->copy == copy;
    const bool near = let_in || peer.acked + kJoinLag >= log_.newest();
    if ((HasAllThatCounts(peer) && near) || copy_.mutations.grow_before_tail) ready.push_back(copy);
  }
  return ready;
}

// P3.8: under load a learner is always behind by what is under way to it, however fast it follows.
// So what counts waits for it, for a while: then it has all that does.
void Primary::PlanAdmission(absl::Time now) {
  auto follows = [&](CopyId copy) {
    return Contains(entry().learners, copy) && copy_.view.IsUp(copy) && Follows(copy);
  };
  if (admission_.has_value()) {
    if (follows(admission_->copy) && now < admission_->since + kAdmissionLimit) return;
    admission_.reset();
    next_admission_ = now + kAdmissionPause;
  }
  if (!MayGrow(now) || now < next_admission_) return;
  for (CopyId copy : entry().learners) {
    if (!follows(copy)) continue;
    const uint64_t behind = log_.newest() - peers_.at(copy).acked;
    if (behind > kAdmissionLag || log_.bytes() > kAdmissionBytes) continue;
    admission_ = Admission{copy, now};
    return;
  }
}

void Primary::PlanIsr(absl::Time now, ReplicaEffects& out) {
  planned_ = now;
  bool handed_over = move_.has_value() && move_->stage == Move::Stage::kProposed;
  if (alter_.has_value() || handed_over) return;  // One at a time (P3.6), and P3.14.
  CopySet silent = Silent(now);
  CopySet wanted = entry().isr;
  if (!silent.empty()) {
    std::erase_if(wanted, [&](CopyId copy) { return Contains(silent, copy); });
  } else {
    PlanAdmission(now);
    wanted = Union(wanted, ReadyToJoin(now));
  }
  if (wanted != entry().isr) Propose(now, std::move(wanted), out);
}

void Primary::Propose(absl::Time now, CopySet isr, ReplicaEffects& out) {
  admission_.reset();
  alter_ = PendingAlter{{copy_.shard, copy_.self, epoch_, entry().isr_version, isr}, isr, now, now};
  SyncPeers();
  out.propose.push_back(alter_->command);
}

// Asks for what there is: a change of isr_version and of nothing else. With it the compare of every
// other command on the present version fails for ever.
AlterIsr Primary::Withdrawal() const {
  return {copy_.shard, copy_.self, epoch_, entry().isr_version, entry().isr};
}

// P3.6: repeated unchanged until the map shows its outcome. One that waits for a copy that has gone
// is withdrawn, by the only thing that makes its compare fail for ever: another change of
// isr_version. Until then its members go on counting.
void Primary::RepeatAlter(absl::Time now, ReplicaEffects& out) {
  if (!alter_.has_value() || now < alter_->sent + copy_.options.repeat_after) return;
  if (copy_.mutations.pending_times_out && now > alter_->since + 2 * copy_.options.repeat_after) {
    alter_.reset();
    return;
  }
  for (CopyId copy : alter_->members) {
    if (copy == copy_.self || Contains(entry().isr, copy)) continue;
    bool there = copy_.view.IsUp(copy) && Contains(entry().learners, copy) && !IsSilent(now, copy);
    if (!there) alter_->command = Withdrawal();
  }
  alter_->sent = now;
  out.propose.push_back(alter_->command);
}

// ---- Moves.

absl::Status Primary::BeginMove(absl::Time now, CopyId to, ReplicaEffects& out) {
  if (!serving() || move_.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "shard ", copy_.shard, move_.has_value() ? " moves already" : " is not served"));
  }
  if (to == copy_.self || !Contains(entry().isr, to) || !copy_.view.IsUp(to)) {
    return absl::FailedPreconditionError(
        absl::StrCat("shard ", copy_.shard, ": copy ", to, " is not another in-sync copy"));
  }
  move_ = Move{
      Move::Stage::kDraining, {copy_.shard, epoch_, entry().isr_version, copy_.self, to}, now, now};
  out.serving.push_back({ServingChange::Kind::kStopAdmit, epoch_, to});
  PlanMove(now, out);
  return absl::OkStatus();
}

void Primary::PlanMove(absl::Time now, ReplicaEffects& out) {
  if (!move_.has_value()) return;
  if (move_->stage == Move::Stage::kProposed) {
    if (now >= move_->sent + copy_.options.repeat_after) ProposeMove(now, out);
    // Perhaps it will never be applied. This copy stays closed until a map settles it either way.
    if (now >= move_->since + copy_.options.move_limit && now == move_->sent) {
      out.propose.push_back(Withdrawal());
    }
    return;
  }
  CopyId to = move_->command.to;
  bool possible = Contains(entry().isr, to) && copy_.view.IsUp(to);
  if (!possible || now >= move_->since + copy_.options.move_limit) {
    move_.reset();  // Nothing has been proposed: simply go on.
    out.serving.push_back({ServingChange::Kind::kAdmit, epoch_, 0});
    return;
  }
  bool flushed = !source_.Busy() && held_.empty() && restamp_.empty() && complete_ == log_.newest();
  if (!flushed || alter_.has_value()) return;
  move_->command.isr_version = entry().isr_version;
  move_->since = now;
  ProposeMove(now, out);
}

void Primary::ProposeMove(absl::Time now, ReplicaEffects& out) {
  move_->stage = Move::Stage::kProposed;
  move_->sent = now;
  out.propose.push_back(move_->command);
  if (!copy_.mutations.move_while_serving) return;
  move_.reset();
  out.serving.push_back({ServingChange::Kind::kAdmit, epoch_, 0});
}

// P3.10: too few copies for a while, and another one could lead. A learner that is on its way into
// the ISR is the better cure. P3.19: or the own disk does not write, and another's might.
void Primary::PlanResignation(absl::Time now, ReplicaEffects& out) {
  const bool unwritten = copy_.DiskOwes(now) > copy_.options.disk_limit;
  if ((!below_since_.has_value() && !unwritten) || alter_.has_value() || move_.has_value()) return;
  if (!unwritten) {
    if (copy_.RunTime(now) - *below_since_ < copy_.options.resign_after) return;
    for (CopyId copy : entry().learners) {
      if (copy != copy_.self && copy_.view.IsUp(copy) && !IsSilent(now, copy)) return;
    }
  }
  bool other = false;
  for (CopyId copy : Without(Union(entry().isr, entry().elr), copy_.self)) {
    other = other || copy_.view.IsUp(copy);
  }
  if (!other) return;
  move_ = Move{
      Move::Stage::kProposed, {copy_.shard, epoch_, entry().isr_version, copy_.self, 0}, now, now};
  if (serving()) out.serving.push_back({ServingChange::Kind::kStopAdmit, epoch_, 0});
  ProposeMove(now, out);
}

}  // namespace troupe
