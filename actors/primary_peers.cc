// Primary, part two: what goes to each of the other copies.
#include <algorithm>

#include "troupe/actors/primary.h"

namespace troupe {

namespace {
constexpr size_t kCollectBytesMax = 4 << 20;  // Of batches, to one copy at once.
}

// Who is a peer, and as what, by the newest map and the pending AlterIsr.
void Primary::SyncPeers() {
  CopySet members = entry().isr;
  if (alter_.has_value()) members = Union(members, alter_->members);
  CopySet wanted = Union(Union(members, entry().elr), entry().learners);
  wanted = Without(wanted, copy_.self);
  std::erase_if(peers_, [&](const auto& peer) { return !Contains(wanted, peer.first); });
  for (CopyId copy : wanted) {
    Peer& peer = peers_[copy];
    bool member = Contains(members, copy);
    bool learner = !member && Contains(entry().learners, copy);
    // What left the ISR comes back only as a learner (P3.9).
    bool left = peer.in_isr && !member;
    if (left || (!member && !learner)) peer.Reset();
    peer.in_isr = Contains(entry().isr, copy);
    bool wants_report =
        peer.stage == Peer::Stage::kIdle && (phase_ == Phase::kCollecting ? member : learner);
    if (wants_report) BeginReport(peer);
  }
}

void Primary::BeginReport(Peer& peer) {
  peer.stage = Peer::Stage::kReporting;
  peer.request = ++last_request_;
  peer.report.Begin(peer.request);
  peer.feed.reset();
  peer.owes.reset();
  peer.progress = absl::InfinitePast();  // Asked at the next tick.
}

void Primary::OnReport(absl::Time now, CopyId from, const Report& report, ReplicaEffects& out) {
  auto it = peers_.find(from);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  peer.unanswered.reset();
  if (peer.stage != Peer::Stage::kReporting) return;
  peer.report.Take(report);
  peer.progress = now;
  if (!peer.report.whole()) return;
  if (phase_ == Phase::kCollecting) {
    peer.stage = Peer::Stage::kReported;
    TryReconcile(now, out);
  } else {
    StartLearner(now, peer);
  }
}

// P3.8: what differs is sent as of the newest batch; what the learner holds beyond it is replaced
// by the batch after that, for all copies.
void Primary::StartLearner(absl::Time now, Peer& peer) {
  LearnerDifference difference = CompareLearner(copy_.store, peer.report.report().entries);
  peer.report.Begin(0);
  if (copy_.mutations.no_restamp) difference.restamp.clear();
  peer.join_seq = log_.newest() + (difference.restamp.empty() ? 0 : 1);
  restamp_.insert(difference.restamp.begin(), difference.restamp.end());
  peer.feed.emplace(copy_.store, peer.request, log_.newest(), std::move(difference.send));
  peer.stage = Peer::Stage::kSnapshot;
  peer.sent = peer.acked = peer.taken = log_.newest();
  peer.progress = now;
}

void Primary::OnAck(absl::Time now, CopyId from, const Ack& ack, ReplicaEffects& out) {
  auto it = peers_.find(from);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  peer.unanswered.reset();
  // P4.1: counted from the sending of what it answers, and only if our map is as new as theirs.
  absl::Time asked = absl::FromUnixNanos(ack.echo);
  const bool newer = ack.map_version > copy_.view.map_version;
  if (asked <= now && (!newer || copy_.mutations.lease_on_old_map)) {
    absl::Time from_when = copy_.mutations.lease_from_receipt ? now : asked;
    peer.lease_until =
        std::max(peer.lease_until, from_when + CountedLease(copy_.options.lease) *
                                                   (copy_.mutations.lease_forever ? 10 : 1));
  }
  if (ack.request != peer.request || std::max(ack.seq, ack.taken) > log_.newest()) return;
  if (ack.sync == SyncState::kLost) peer.lost = true;
  if (peer.stage == Peer::Stage::kSnapshot) {
    if (peer.feed->Acknowledge(ack.next_chunk)) peer.progress = now;
    if (ack.sync == SyncState::kSynced) {
      peer.stage = Peer::Stage::kStreaming;
      peer.feed.reset();
    }
  }
  if (peer.stage == Peer::Stage::kStreaming)
    peer.taken = std::max({peer.taken, ack.taken, ack.seq});
  if (peer.stage == Peer::Stage::kStreaming && ack.sync == SyncState::kSynced &&
      ack.seq > peer.acked) {
    peer.acked = ack.seq;
    peer.sent = std::max(peer.sent, peer.acked);
    peer.progress = now;
    peer.owes.reset();
    if (peer.awaited()) peer.owes = copy_.RunTime(now);
  }
  Progress(now, out);
  if (!peer.in_isr) PlanIsr(now, out);  // A learner may have caught up just now.
}

void Primary::OnPeerConnected(CopyId copy) {
  auto it = peers_.find(copy);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  peer.sent = std::min(peer.sent, peer.acked);
  if (peer.feed.has_value()) peer.feed->Rewind();
  if (peer.stage == Peer::Stage::kReporting) peer.progress = absl::InfinitePast();
  peer.asked = absl::InfinitePast();
}

// ISR members always find what they miss; a learner that is too far behind starts anew.
void Primary::TrimLog() {
  uint64_t keep = log_.newest();
  for (CopyId copy : Needed()) keep = std::min(keep, peers_.at(copy).acked);
  bool full = log_.bytes() > copy_.options.unacknowledged_bytes_max;
  CopySet needed = Needed();
  for (auto& [id, peer] : peers_) {
    if (Contains(needed, id) || Contains(entry().isr, id)) continue;
    if (peer.stage != Peer::Stage::kStreaming && peer.stage != Peer::Stage::kSnapshot) continue;
    bool slow = log_.newest() - peer.acked > copy_.options.learner_lag_batches_max;
    bool far = peer.acked + 1 < log_.oldest();
    if (slow || full || far) {
      BeginReport(peer);
    } else {
      keep = std::min(keep, peer.acked);
    }
  }
  for (CopyId copy : entry().isr) {
    if (copy != copy_.self) keep = std::min(keep, peers_.at(copy).acked);
  }
  log_.TrimTo(keep);
}

ReplicaMessage Primary::Make(absl::Time now, CopyId to, ReplicaBody body) const {
  return {.shard = copy_.shard,
          .lineage = copy_.lineage,
          .epoch = epoch_,
          .primary = copy_.self,
          .target = to,
          .stamp = absl::ToUnixNanos(now),
          .mark = copy_.mutations.mark_ahead ? log_.newest() : complete_,
          .body = std::move(body)};
}

void Primary::Send(absl::Time now, CopyId to, Peer& peer, ReplicaBody body, ReplicaEffects& out) {
  out.send.push_back({to, Make(now, to, std::move(body))});
  peer.asked = now;
  if (!peer.unanswered.has_value()) peer.unanswered = copy_.RunTime(now);
}

void Primary::TickPeers(absl::Time now, ReplicaEffects& out) {
  for (auto& [id, peer] : peers_) {
    bool overdue = now >= peer.progress + copy_.options.resend_after;
    if (peer.stage == Peer::Stage::kReporting && overdue) {
      auto scope = phase_ == Phase::kCollecting ? ReportRequest::Scope::kAboveMark
                                                : ReportRequest::Scope::kAll;
      Send(now, id, peer, ReportRequest{scope, peer.request}, out);
      peer.progress = now;
      peer.asked = absl::InfinitePast();  // It answers with a report, which grants nothing.
    } else if (peer.awaited() && overdue) {
      if (peer.stage == Peer::Stage::kStreaming) peer.sent = std::max(peer.acked, peer.taken);
      if (peer.feed.has_value()) peer.feed->Rewind();
      peer.progress = now;
    }
    bool runs = peer.in_isr || copy_.view.IsAlive(id);
    if (runs && now >= peer.asked + copy_.options.lease / 3) Send(now, id, peer, Heartbeat{}, out);
  }
}

bool Primary::HasUnsent(CopyId copy) const {
  auto it = peers_.find(copy);
  if (it == peers_.end()) return false;
  const Peer& peer = it->second;
  if (peer.stage == Peer::Stage::kSnapshot) return peer.feed->HasUnsent();
  if (peer.stage != Peer::Stage::kStreaming) return false;
  return peer.sent < log_.newest() || held_.dirty() || !restamp_.empty();
}

void Primary::CollectFor(absl::Time now, CopyId copy, ReplicaEffects& out) {
  auto it = peers_.find(copy);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  if (peer.stage == Peer::Stage::kSnapshot) {
    if (!peer.awaited()) peer.progress = now;
    for (Snapshot& chunk : peer.feed->Collect(copy_.store)) {
      Send(now, copy, peer, std::move(chunk), out);
    }
    return;
  }
  if (peer.stage != Peer::Stage::kStreaming) return;
  Cut();
  if (!peer.awaited()) peer.progress = now;
  if (!peer.owes.has_value() && peer.sent < log_.newest()) peer.owes = copy_.RunTime(now);
  for (size_t bytes = 0; peer.sent < log_.newest() && bytes < kCollectBytesMax; ++peer.sent) {
    uint64_t seq = std::max(peer.sent + 1, log_.oldest());
    bytes += log_.BytesOf(seq);
    for (const Batch& chunk : log_.Chunks(seq)) Send(now, copy, peer, chunk, out);
  }
}

std::vector<CopyId> Primary::Peers() const {
  std::vector<CopyId> out;
  for (const auto& [id, peer] : peers_) out.push_back(id);
  return out;
}

}  // namespace troupe
