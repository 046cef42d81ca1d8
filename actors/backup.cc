#include "troupe/actors/backup.h"

#include <algorithm>

#include "troupe/actors/reconciliation.h"

namespace troupe {
namespace {

constexpr uint32_t kBatchChunksMax = 4096;  // A gigabyte in one batch is nobody's reconciliation.

}  // namespace

void Backup::EnterEpoch(Epoch epoch) {
  epoch_ = epoch;
  mode_ = Mode::kIdle;
  seq_ = synced_at_ = said_ = request_ = assembling_ = 0;
  asked_.reset();
  next_chunk_ = 0;
}

void Backup::OnMessage(absl::Time now, const ReplicaMessage& message, ReplicaEffects& out) {
  if (message.epoch > epoch_) EnterEpoch(message.epoch);
  if (message.epoch < epoch_) {  // Only with the rule of P3.2 switched off.
    if (const auto* batch = std::get_if<Batch>(&message.body)) ApplyOldBatch(message, *batch);
    Acknowledge(now, message, out);
    return;
  }
  if (const auto* request = std::get_if<ReportRequest>(&message.body)) {
    OnReportRequest(message, *request, out);
    return;
  }
  if (const auto* batch = std::get_if<Batch>(&message.body)) OnBatch(message, *batch);
  if (const auto* snapshot = std::get_if<Snapshot>(&message.body)) OnSnapshot(*snapshot);
  if (mode_ == Mode::kSynced) {
    copy_.store.RaiseMark({epoch_, std::min(message.mark, seq_)});
  }
  Acknowledge(now, message, out);
  if (!copy_.disk.has_value()) return;
  asked_ = message;
  asked_->body = Heartbeat{};
}

void Backup::OnReportRequest(const ReplicaMessage& message, const ReportRequest& request,
                             ReplicaEffects& out) {
  bool again = request.request == request_;
  if (request.request < request_) return;
  bool learner = request.scope == ReportRequest::Scope::kAll;
  if (learner) {
    if (again && mode_ != Mode::kLearning) return;  // Its snapshot is complete.
    if (again && next_chunk_ > 0) return;           // The report has arrived.
    mode_ = Mode::kLearning;
    next_chunk_ = 0;
    assembling_ = 0;
  } else {
    // What this copy holds is frozen from here until the reconciliation (P3.9).
    if (mode_ != Mode::kIdle && mode_ != Mode::kReported) return;
    mode_ = Mode::kReported;
  }
  request_ = request.request;
  auto entries = learner ? copy_.store.ListAll() : copy_.store.ListAboveMark();
  for (Report& report : ReportInChunks(request_, copy_.store.mark(), entries)) {
    ReplicaMessage reply{.shard = copy_.shard,
                         .lineage = message.lineage,
                         .epoch = epoch_,
                         .primary = message.primary,
                         .target = message.primary,
                         .stamp = 0,
                         .mark = 0,
                         .body = std::move(report)};
    out.send.push_back({message.primary, std::move(reply)});
  }
}

void Backup::OnBatch(const ReplicaMessage& message, const Batch& batch) {
  bool reconciliation = mode_ == Mode::kReported && batch.seq == 1;
  bool next = mode_ == Mode::kSynced && batch.seq == seq_ + 1;
  if (copy_.mutations.gap_accepted) next = mode_ == Mode::kSynced && batch.seq > seq_;
  if (copy_.DiskIsFull()) return;  // It will come again.
  if ((!reconciliation && !next) || !Assemble(batch)) return;
  Batch whole{batch.seq, 0, 1, {}};
  for (auto& part : parts_) {
    whole.updates.insert(whole.updates.end(), part.begin(), part.end());
  }
  assembling_ = 0;
  parts_.clear();
  Take(whole);
  (void)message;
}

bool Backup::Assemble(const Batch& batch) {
  if (batch.chunks == 0 || batch.chunks > kBatchChunksMax || batch.chunk >= batch.chunks)
    return false;
  if (assembling_ != batch.seq || parts_.size() != batch.chunks) {
    assembling_ = batch.seq;
    parts_.assign(batch.chunks, {});
    have_.assign(batch.chunks, false);
  }
  parts_[batch.chunk] = batch.updates;
  have_[batch.chunk] = true;
  if (copy_.mutations.part_of_batch) return true;
  return std::find(have_.begin(), have_.end(), false) == have_.end();
}

// In one step: everything is checked before anything changes (P3.3).
void Backup::Take(const Batch& batch) {
  Version version{epoch_, batch.seq};
  for (const SharedUpdate& update : batch.updates) {
    if (copy_.mutations.no_base_check || copy_.mutations.gap_accepted) break;
    if (update->version == version && copy_.store.Check(*update) == ActorStore::Outcome::kApplied) {
      continue;
    }
    mode_ = Mode::kLost;
    return;
  }
  for (const SharedUpdate& update : batch.updates) {
    if (copy_.mutations.no_base_check || copy_.mutations.gap_accepted) {
      ActorUpdate forced = *update;
      forced.base = copy_.store.VersionOf(update->actor);
      copy_.store.Apply(forced);
    } else {
      copy_.store.Apply(*update);
    }
  }
  if (mode_ != Mode::kSynced) synced_at_ = batch.seq;
  mode_ = Mode::kSynced;
  seq_ = batch.seq;
  copy_.position = version;
  copy_.Keep(batch.updates);
}

void Backup::OnSnapshot(const Snapshot& snapshot) {
  if (mode_ != Mode::kLearning || snapshot.request != request_ || snapshot.chunk != next_chunk_) {
    return;
  }
  if (copy_.DiskIsFull()) return;
  // A learner may be the last eligible copy: what it holds is only ever replaced by what is newer.
  std::vector<SharedUpdate> taken;
  for (const SharedUpdate& update : snapshot.updates) {
    if (update->kind == ActorUpdate::Kind::kDelta) continue;
    if (copy_.store.Apply(*update) == ActorStore::Outcome::kApplied) taken.push_back(update);
  }
  ++next_chunk_;
  if (snapshot.last) {
    mode_ = Mode::kSynced;
    seq_ = synced_at_ = snapshot.seq;
    copy_.position = {epoch_, seq_};
  }
  copy_.Keep(taken);
}

// P3.19: what it holds it has only once its disk does, and it is in sync no earlier than what made
// it so is there.
Ack Backup::WhatItHas() const {
  Ack ack;
  const uint64_t kept = copy_.Kept(epoch_, seq_);
  const bool in_time = kept >= synced_at_ || copy_.mutations.synced_unwritten;
  if (mode_ == Mode::kSynced && in_time) {
    ack.sync = SyncState::kSynced;
    ack.seq = copy_.mutations.synced_unwritten ? std::max(kept, synced_at_) : kept;
  }
  if (mode_ == Mode::kSynced) ack.taken = seq_;
  if (mode_ == Mode::kLost) ack.sync = SyncState::kLost;
  ack.request = request_;
  ack.next_chunk = next_chunk_;
  return ack;
}

// A later write answers no later request: it repeats the grant that the newest message was given.
void Backup::OnWritten(absl::Time now, ReplicaEffects& out) {
  if (!asked_.has_value() || epoch_ != copy_.promised) return;
  const Ack ack = WhatItHas();
  if (ack.sync == SyncState::kSynced && ack.seq > said_) Acknowledge(now, *asked_, out);
}

void Backup::Acknowledge(absl::Time now, const ReplicaMessage& message, ReplicaEffects& out) {
  Ack ack = WhatItHas();
  if (ack.sync == SyncState::kSynced) said_ = ack.seq;
  ack.echo = message.stamp;
  ack.map_version = copy_.view.map_version;
  copy_.grants.Note(now, message.primary, now + copy_.options.lease);
  ReplicaMessage reply{.shard = copy_.shard,
                       .lineage = message.lineage,
                       .epoch = message.epoch,
                       .primary = message.primary,
                       .target = message.primary,
                       .stamp = 0,
                       .mark = 0,
                       .body = ack};
  out.send.push_back({message.primary, std::move(reply)});
}

void Backup::ApplyOldBatch(const ReplicaMessage& message, const Batch& batch) {
  if (mode_ != Mode::kSynced || batch.seq != seq_ + 1 || batch.chunks != 1) return;
  for (const SharedUpdate& update : batch.updates) {
    ActorUpdate forced = *update;
    forced.base = copy_.store.VersionOf(update->actor);
    forced.version = {epoch_, batch.seq};
    copy_.store.Apply(forced);
  }
  seq_ = batch.seq;
  (void)message;
}

}  // namespace troupe
