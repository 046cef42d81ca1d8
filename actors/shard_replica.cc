#include "troupe/actors/shard_replica.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/backup.h"
#include "troupe/actors/copy_state.h"
#include "troupe/actors/primary.h"
#include "troupe/actors/restored_copy.h"

namespace troupe {

namespace {
constexpr absl::Duration kAgeEvery = absl::Minutes(1);
}

struct ShardReplica::Impl {
  Impl(ShardId shard, CopyId self, ReplicaOptions options, ActorSource& source_)
      : copy(shard, self, options), source(source_), backup(copy) {}

  void Stop(CopyId next, ReplicaEffects& out) {
    if (!primary.has_value()) return;
    primary->Stop(next, out);
    primary.reset();
  }
  void OnMap(absl::Time now, const ShardView& view, ReplicaEffects& out);
  void FromPrimary(absl::Time now, CopyId from, const ReplicaMessage& message, ReplicaEffects& out);
  void ToPrimary(absl::Time now, CopyId from, const ReplicaMessage& message, ReplicaEffects& out);
  // What there is to be written by now.
  void ToDisk(absl::Time now, ReplicaEffects& out) {
    if (copy.disk.has_value()) copy.disk->Take(copy.RunTime(now), out.write);
  }

  CopyState copy;
  ActorSource& source;
  Backup backup;
  std::optional<Primary> primary;
  Epoch last_led = 0;  // Each epoch is led once.
  absl::Time aged = absl::InfinitePast();
};

ShardReplica::ShardReplica(ShardId shard, CopyId self, ReplicaOptions options, ActorSource& source)
    : impl_(std::make_unique<Impl>(shard, self, options, source)) {}
ShardReplica::~ShardReplica() = default;

// ---- The disk

void ShardReplica::Restore(absl::Time now, RestoredCopy restored) {
  CopyState& copy = impl_->copy;
  // P4.4: whatever it granted before has run out by then.
  if (!copy.mutations.leads_at_once) copy.not_before = now + copy.options.lease;
  copy.lineage = restored.lineage;
  copy.promised = restored.position.epoch;
  copy.position = restored.position;
  copy.store = std::move(restored.store);
  copy.disk.emplace(std::move(restored.book), restored.position);
}

void ShardReplica::OnWritten(absl::Time now, uint64_t number, ReplicaEffects& out) {
  CopyState& copy = impl_->copy;
  if (!copy.disk.has_value()) return;
  copy.disk->OnWritten(number);
  if (impl_->primary.has_value()) {
    impl_->primary->OnWritten(now, out);
  } else {
    impl_->backup.OnWritten(now, out);
  }
  impl_->ToDisk(now, out);
}

// ---- The world

void ShardReplica::OnMap(absl::Time now, const ShardView& view, ReplicaEffects& out) {
  impl_->OnMap(now, view, out);
  impl_->ToDisk(now, out);
}

void ShardReplica::Impl::OnMap(absl::Time now, const ShardView& view, ReplicaEffects& out) {
  if (view.map_version <= copy.view.map_version) return;
  copy.view = view;
  const ShardEntry& entry = copy.view.entry;
  copy.Promise(entry.lineage, entry.epoch);
  bool leader = entry.primary == copy.self && view.self_up;
  if (primary.has_value()) {
    const bool same = entry.epoch == primary->epoch();
    if (leader && (same || copy.mutations.same_epoch_goes_on)) {
      primary->OnMap(now, out);
      return;
    }
    // Also a higher epoch that names this copy again is a new election (P3.9).
    Stop(entry.primary, out);
  }
  if (!leader || entry.epoch < copy.promised || entry.epoch <= last_led) return;
  last_led = entry.epoch;
  primary.emplace(copy, source, now, out);
}

void ShardReplica::OnMessage(absl::Time now, CopyId from, const ReplicaMessage& message,
                             ReplicaEffects& out) {
  // P3.2: only the very process that is meant takes a message.
  if (message.shard != impl_->copy.shard) return;
  if (message.target != impl_->copy.self && !impl_->copy.mutations.any_target) return;
  switch (message.body.index()) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (message.primary == from) impl_->FromPrimary(now, from, message, out);
      break;
    default:
      if (message.primary == impl_->copy.self) impl_->ToPrimary(now, from, message, out);
  }
  impl_->ToDisk(now, out);
}

void ShardReplica::Impl::FromPrimary(absl::Time now, CopyId from, const ReplicaMessage& message,
                                     ReplicaEffects& out) {
  if (copy.view.map_version < copy.self && !copy.mutations.early_for_own_map)
    return;  // P4.4: a boot is a version of the map.
  if (message.epoch < copy.promised && !copy.mutations.accept_old_epochs) {
    ReplicaMessage reply{.shard = copy.shard,
                         .lineage = message.lineage,
                         .epoch = message.epoch,
                         .primary = from,
                         .target = from,
                         .stamp = 0,
                         .mark = 0,
                         .body = Reject{copy.promised}};
    out.send.push_back({from, std::move(reply)});
    return;
  }
  if (message.epoch > copy.promised) Stop(0, out);
  copy.Promise(message.lineage, message.epoch);
  if (primary.has_value()) return;
  backup.OnMessage(now, message, out);
}

void ShardReplica::Impl::ToPrimary(absl::Time now, CopyId from, const ReplicaMessage& message,
                                   ReplicaEffects& out) {
  if (!primary.has_value() || message.epoch != primary->epoch()) return;
  if (const auto* ack = std::get_if<Ack>(&message.body)) primary->OnAck(now, from, *ack, out);
  if (const auto* report = std::get_if<Report>(&message.body)) {
    primary->OnReport(now, from, *report, out);
  }
  if (const auto* reject = std::get_if<Reject>(&message.body)) {
    if (reject->promised <= primary->epoch()) return;
    copy.promised = std::max(copy.promised, reject->promised);
    if (copy.mutations.rejected_goes_on) return;
    Stop(0, out);  // P3.2: at once; the map will say who leads.
  }
}

void ShardReplica::Tick(absl::Time now, absl::Duration stalled, ReplicaEffects& out) {
  impl_->copy.stalled = std::max(impl_->copy.stalled, stalled);
  if (now >= impl_->aged + kAgeEvery) {
    impl_->copy.store.AgeRecords(now);
    impl_->aged = now;
  }
  if (impl_->primary.has_value()) impl_->primary->Tick(now, out);
  impl_->ToDisk(now, out);
}

void ShardReplica::SetRoundTripTimeout(absl::Duration timeout) {
  impl_->copy.round_trip_timeout = timeout;
}

absl::Time ShardReplica::NextDeadline() const {
  absl::Time next = impl_->aged + kAgeEvery;
  return impl_->primary.has_value() ? std::min(next, impl_->primary->NextDeadline()) : next;
}

void ShardReplica::OnPeerConnected(CopyId peer) {
  if (impl_->primary.has_value()) impl_->primary->OnPeerConnected(peer);
}

void ShardReplica::OnReadConfirmed(absl::Time now, uint64_t id, const ShardView& view,
                                   ReplicaEffects& out) {
  OnMap(now, view, out);
  if (!impl_->primary.has_value()) return;
  bool shows_us =
      view.entry.primary == impl_->copy.self && view.entry.epoch == impl_->primary->epoch();
  if (shows_us) impl_->primary->OnReadConfirmed(now, id, out);
  impl_->ToDisk(now, out);
}

// ---- The actors.

absl::Status ShardReplica::Admit(CallKind kind) const {
  if (impl_->primary.has_value()) return impl_->primary->Admit(kind);
  return absl::UnavailableError(absl::StrCat("shard ", impl_->copy.shard, " is led by copy ",
                                             impl_->copy.view.entry.primary, ", not by ",
                                             impl_->copy.self));
}

ReadTicket ShardReplica::StartRead(absl::Time now, ReplicaEffects& out) {
  return impl_->primary.has_value() ? impl_->primary->StartRead(now, out) : ReadTicket();
}

void ShardReplica::MarkDirty(const ActorId& actor) {
  if (serving()) impl_->primary->MarkDirty(actor);
}

void ShardReplica::Stage(const ActorId& actor, ActorChange change) {
  if (serving()) impl_->primary->Stage(actor, std::move(change));
}

void ShardReplica::Hold(absl::Time now, HoldToken token, const ActorId& actor, HoldKind kind,
                        ReadTicket ticket, ReplicaEffects& out) {
  if (serving()) {
    impl_->primary->Hold(now, token, actor, kind, ticket, out);
  } else {
    out.failed.emplace_back(token, HoldFailure::kNotPrimary);
  }
}

absl::Status ShardReplica::BeginMove(absl::Time now, CopyId to, ReplicaEffects& out) {
  if (!impl_->primary.has_value()) return Admit(CallKind::kMutating);
  return impl_->primary->BeginMove(now, to, out);
}

// ---- The worker.

void ShardReplica::Settle(absl::Time now, ReplicaEffects& out) {
  if (impl_->primary.has_value()) impl_->primary->Settle(now, out);
  impl_->ToDisk(now, out);
}

bool ShardReplica::HasUnsent(CopyId peer) const {
  return impl_->primary.has_value() && impl_->primary->HasUnsent(peer);
}

void ShardReplica::CollectFor(absl::Time now, CopyId peer, ReplicaEffects& out) {
  if (impl_->primary.has_value()) impl_->primary->CollectFor(now, peer, out);
  impl_->ToDisk(now, out);
}

std::vector<CopyId> ShardReplica::Peers() const {
  return impl_->primary.has_value() ? impl_->primary->Peers() : std::vector<CopyId>();
}

bool ShardReplica::serving() const {
  return impl_->primary.has_value() && impl_->primary->serving();
}
ShardId ShardReplica::shard() const { return impl_->copy.shard; }
CopyId ShardReplica::self() const { return impl_->copy.self; }
Epoch ShardReplica::promised() const { return impl_->copy.promised; }
Epoch ShardReplica::epoch() const {
  return impl_->primary.has_value() ? impl_->primary->epoch() : 0;
}
const ShardView& ShardReplica::view() const { return impl_->copy.view; }
const ActorStore& ShardReplica::store() const { return impl_->copy.store; }
Version ShardReplica::position() const { return impl_->copy.position; }
Version ShardReplica::complete() const {
  return impl_->primary.has_value() ? impl_->primary->complete() : Version();
}
bool ShardReplica::MayReadLocally(absl::Time now) const {
  return serving() && impl_->primary->MayReadLocally(now);
}

}  // namespace troupe
