#include "troupe/actors/shard_host.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_store.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// At one look, so that the loop goes on.
constexpr size_t kRetiredAtOnce = 1024;
constexpr size_t kRemindedAtOnce = 256;
constexpr size_t kForgottenAtOnce = 1024;
constexpr absl::Duration kForgetEvery = absl::Minutes(1);  // As often as records age.

}  // namespace

ShardHost::ShardHost(Host& host, const Registry& registry, Worker& worker, ShardId shard,
                     CopyId self, const ReplicaOptions& options,
                     std::unique_ptr<ShardJournal> journal)
    : host_(host),
      registry_(registry),
      worker_(worker),
      shard_(shard),
      self_(self),
      mutations_(options.mutations == nullptr ? kNoMutations : *options.mutations),
      replica_(shard, self, options, *this),
      journal_(std::move(journal)) {
  if (journal_ != nullptr) Restore();
}

ShardHost::~ShardHost() noexcept {
  for (auto& [id, activation] : activations_) activation->Stop();
}

// ---- The disk

void ShardHost::Restore() {
  restoring_ = true;
  auto read = [this] {
    return journal_->Load().then([this](RestoredCopy&& restored) -> kj::Promise<void> {
      if (restored.lineage == worker_.map().shards[shard_].lineage || restored.lineage == 0) {
        Begin(std::move(restored));
        return kj::READY_NOW;
      }
      // What was given up stays so (P3.1).
      return journal_->Erase().then([this] { Begin(RestoredCopy()); });
    });
  };
  disk_tasks_.add(worker_.ReadInTurn(std::move(read)));
}

void ShardHost::Begin(RestoredCopy restored) {
  restoring_ = false;
  replica_.Restore(host_.clock().Now(), std::move(restored));
  OnMap(worker_.map());
  worker_.Touch(shard_);
}

void ShardHost::ToDisk(const DiskWrite& write) {
  disk_tasks_.add(journal_->Write(write).then([this, number = write.number] {
    ReplicaEffects effects;
    replica_.OnWritten(host_.clock().Now(), number, effects);
    Perform(effects);
    worker_.Touch(shard_);
  }));
}

// Nothing more may be said of what this copy holds: it is not known.
void ShardHost::DiskErrors::taskFailed(kj::Exception&& exception) {
  host.worker_.OnDiskFailure(Words(exception));
}

// ---- The world

void ShardHost::OnMap(const ClusterState& map) {
  if (restoring_) return;  // It is asked for then.
  ReplicaEffects effects;
  replica_.OnMap(host_.clock().Now(), ViewOf(map, shard_, self_), effects);
  Perform(effects);
  if (!watches_.empty()) CompareWatches();
}

void ShardHost::OnMessage(CopyId from, const ReplicaMessage& message) {
  if (restoring_) return;  // It will be sent again.
  ReplicaEffects effects;
  replica_.OnMessage(host_.clock().Now(), from, message, effects);
  Perform(effects);
  worker_.Touch(shard_);
}

void ShardHost::OnConfirmed(uint64_t id, const ClusterState& map) {
  ReplicaEffects effects;
  replica_.OnReadConfirmed(host_.clock().Now(), id, ViewOf(map, shard_, self_), effects);
  Perform(effects);
}

void ShardHost::Tick(absl::Time now, absl::Duration stalled) {
  if (reminders_.size() > 0) RemindDue();
  if (deadline_ == absl::InfinitePast()) deadline_ = replica_.NextDeadline();
  if (deadline_ > now) return;
  ReplicaEffects effects;
  replica_.Tick(now, stalled, effects);
  Perform(effects);
  if (admitting_ && now >= forgotten_ + kForgetEvery) ForgetErased(now);
  worker_.Touch(shard_);
}

void ShardHost::CheckDeadlines(absl::Time now) {
  for (size_t i = 0; i < watched_.size(); ++i) {  // Grows meanwhile.
    Activation* const activation = watched_[i];
    if (activation == nullptr || activation->Look(now) || watched_[i] == nullptr) continue;
    watched_[i] = nullptr;
    activation->watched = false;
    const auto timeout = activation->type().idle_timeout;
    if (timeout > absl::ZeroDuration()) {
      idle_.Set(activation->id(), activation->idle_since() + timeout);
    }
  }
  std::erase(watched_, nullptr);
  for (const ActorId& actor : idle_.TakeDue(now, kRetiredAtOnce)) {
    auto it = activations_.find(actor);
    if (it == activations_.end() || it->second->watched) continue;
    it->second->RetireIfIdle(now);
    // What stays is looked at again: with something to do, or in as long a time.
    it = activations_.find(actor);
    if (it == activations_.end()) continue;
    if (it->second->leaving()) {
      if (!it->second->watched) Watch(*it->second);
    } else {
      idle_.Set(actor, now + it->second->type().idle_timeout);
    }
  }
}

void ShardHost::Settle(absl::Time now) {
  ReplicaEffects effects;
  replica_.Settle(now, effects);
  Perform(effects);
}

void ShardHost::CollectFor(absl::Time now, CopyId peer) {
  ReplicaEffects effects;
  replica_.CollectFor(now, peer, effects);
  Perform(effects);
}

bool ShardHost::BeginMove(CopyId to) {
  ReplicaEffects effects;
  const bool begun = replica_.BeginMove(host_.clock().Now(), to, effects).ok();
  Perform(effects);
  worker_.Touch(shard_);
  return begun;
}

// Effects may lead to further ones; each batch is performed whole, in order.
void ShardHost::Perform(ReplicaEffects& effects) {
  deadline_ = absl::InfinitePast();  // What led here has moved it.
  for (const auto& write : effects.write) ToDisk(write);
  for (auto& out : effects.send) worker_.SendTo(out.to, std::move(out.message));
  for (auto& command : effects.propose) worker_.Propose(std::move(command));
  if (effects.confirm_read) worker_.ConfirmRead(shard_, *effects.confirm_read);
  auto finish = [this](HoldToken token, bool ok) {
    auto it = holds_.find(token);
    if (it == holds_.end()) return;
    auto done = kj::mv(it->second);
    holds_.erase(it);
    if (ok) ++answered_;
    done(ok);
  };
  for (HoldToken token : effects.released) finish(token, true);
  for (auto& [token, failure] : effects.failed) finish(token, false);
  for (const auto& change : effects.serving) OnServing(change);
}

void ShardHost::OnServing(const ServingChange& change) {
  switch (change.kind) {
    case ServingChange::Kind::kStart:
      return StartServing();
    case ServingChange::Kind::kStop:
      admitting_ = false;
      return StopServing();
    case ServingChange::Kind::kStopAdmit: {
      admitting_ = false;
      std::vector<Activation*> all;  // They go from the map as they retire.
      for (auto& [id, activation] : activations_) all.push_back(activation.get());
      for (auto* activation : all) activation->RetireForMove();
      return;
    }
    case ServingChange::Kind::kAdmit: {
      admitting_ = true;
      for (auto& [id, activation] : activations_) activation->StayAfterAll();
      return Unpark();
    }
  }
}

void ShardHost::StartServing() {
  admitting_ = true;
  ++served_;
  reminders_.Clear();
  for (const auto& [actor, due] : replica_.store().ListReminders()) reminders_.Set(actor, due);
  watches_.Clear();
  for (const auto& [actor, watches] : replica_.store().ListWatches()) watches_.Set(actor, watches);
  CompareWatches();
  for (const auto& actor : replica_.store().ListToResume()) {
    if (const auto* type = registry_.Find(actor.type)) {
      Activate(actor, *type);
    } else {
      host_.log().Error("cannot resume actor: its type is not hosted here",
                        {{"actor", worker_.NameOf(actor)}});
    }
  }
}

void ShardHost::StopServing() {
  parked_.clear();  // They say Moved.
  watched_.clear();
  idle_.Clear();
  reminders_.Clear();
  watches_.Clear();
  suspended_.clear();
  auto stopped = std::move(activations_);
  activations_.clear();
  for (auto& [id, activation] : stopped) activation->Stop();
  for (auto& [id, activation] : stopped) Bury(kj::mv(activation));
}

// It may be on the stack.
void ShardHost::Bury(kj::Own<Activation> activation) {
  graveyard_.push_back(kj::mv(activation));
  if (std::exchange(sweeping_, true)) return;
  sweep_ = kj::evalLater([this] {
             while (!graveyard_.empty()) (void)std::exchange(graveyard_, {});
             sweeping_ = false;
           }).eagerlyEvaluate(nullptr);
}

Activation& ShardHost::Activate(const ActorId& id, const ActorType& type) {
  auto& slot = activations_[id];
  if (slot.get() != nullptr) return *slot;
  slot = kj::heap<Activation>(host_, static_cast<Activation::Shard&>(*this), id, type);
  Watch(*slot);
  slot->Load(replica_.store().Find(id));
  return *slot;
}

// ---- What time brings

void ShardHost::RemindDue() {
  const absl::Time now = host_.clock().WallNow();
  if (!admitting_ || reminders_.next() > now) return;
  if (!replica_.Admit(CallKind::kMutating).ok()) return;  // They stay due.
  for (const ActorId& actor : reminders_.TakeDue(now, kRemindedAtOnce)) {
    if (const auto* type = registry_.Find(actor.type)) {
      Activate(actor, *type).Remind();
    } else {
      host_.log().Error("a reminder is due of a type that is not hosted here",
                        {{"actor", worker_.NameOf(actor)}});
    }
  }
}

// Whoever of what they watch the newest map shows an end has a turn for it (P6.16).
void ShardHost::CompareWatches() {
  for (const ActorId& actor : watches_.EndedBy(worker_.map())) {
    if (const auto* type = registry_.Find(actor.type)) {
      Activate(actor, *type).OnWatchedEnd();
    } else {
      host_.log().Error("an actor of a type that is not hosted here watches what has ended",
                        {{"actor", worker_.NameOf(actor)}});
    }
  }
}

// Of whom no state and no record is left: as if they had never been.
void ShardHost::ForgetErased(absl::Time now) {
  forgotten_ = now;
  size_t left = kForgottenAtOnce;
  for (const ActorId& actor : replica_.store().ListEmpty()) {
    if (left == 0) return;
    if (activations_.contains(actor)) continue;
    --left;
    ActorChange change;
    change.removed = true;
    Stage(actor, std::move(change));
  }
}

// ---- For the replica and the activations

std::optional<ActorChange> ShardHost::Encode(const ActorId& actor) {
  return activations_.at(actor)->Encode();
}

bool ShardHost::Busy() const {
  for (const auto& [id, activation] : activations_) {
    if (activation->busy()) return true;
  }
  return false;
}

void ShardHost::Watch(Activation& activation) {
  activation.watched = true;
  watched_.push_back(&activation);
}

void ShardHost::Retire(Activation& activation) {
  auto it = activations_.find(activation.id());
  if (it == activations_.end() || it->second.get() != &activation) return;
  auto waiting = activation.TakeWaiting();
  auto retired = kj::mv(it->second);
  const ActorType& type = retired->type();
  const ActorId actor = retired->id();
  activations_.erase(it);
  std::replace(watched_.begin(), watched_.end(), &activation, static_cast<Activation*>(nullptr));
  idle_.Erase(retired->id());
  suspended_.erase(retired->id());
  retired->Stop();
  Bury(kj::mv(retired));
  worker_.Touch(shard_);  // A move may have waited for it.
  parked_.insert(parked_.begin(), std::make_move_iterator(waiting.begin()),
                 std::make_move_iterator(waiting.end()));
  Unpark();
  // A notice that came during its last turn, or what is told as that has erased it.
  const auto* stored = replica_.store().Find(actor);
  if (stored == nullptr || !admitting_) return;
  const bool due = stored->watches != nullptr && stored->watches->HasDue();
  const bool told = stored->outbox != nullptr && !stored->outbox->entries.empty();
  if (due || told) Activate(actor, type);
}

void ShardHost::OnSuspended(const ActorId& actor, bool suspended) {
  if (suspended) {
    suspended_.insert(actor);
  } else {
    suspended_.erase(actor);
  }
}

std::string ShardHost::WhySuspended(const ActorId& actor) const {
  auto it = activations_.find(actor);
  return it == activations_.end() ? "" : it->second->WhySuspended();
}

void ShardHost::Dirty(const ActorId& actor) {
  replica_.MarkDirty(actor);
  worker_.Touch(shard_);
}

void ShardHost::Stage(const ActorId& actor, ActorChange change) {
  replica_.Stage(actor, std::move(change));
  worker_.Touch(shard_);
}

void ShardHost::AddOpenTurns(std::vector<std::string>& out, size_t most) const {
  for (const auto& [id, activation] : activations_) {
    if (out.size() >= most) return;
    if (auto turn = activation->OpenTurn(); !turn.empty()) out.push_back(std::move(turn));
  }
}

void ShardHost::Hold(const ActorId& actor, HoldKind kind, ReadTicket ticket, Done done) {
  const HoldToken token = next_token_++;
  holds_[token] = kj::mv(done);
  ReplicaEffects effects;
  replica_.Hold(host_.clock().Now(), token, actor, kind, ticket, effects);
  Perform(effects);
}

ReadTicket ShardHost::StartRead() {
  ReplicaEffects effects;
  const auto ticket = replica_.StartRead(host_.clock().Now(), effects);
  Perform(effects);
  return ticket;
}

}  // namespace troupe
