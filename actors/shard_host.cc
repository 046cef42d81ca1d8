#include "troupe/actors/shard_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/actor_store.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// Remembered. Beyond it those that run here are forgotten, as they may be; if most are refused
// ones, all are, and order across the refusals that are under way is then not kept.
constexpr size_t kLanesMax = 1 << 16;
constexpr size_t kParkedMax = 4096;  // Calls that wait for a move to end; then Moved.

}  // namespace

ShardHost::ShardHost(Host& host, const Registry& registry, Worker& worker, ShardId shard,
                     CopyId self, const ReplicaOptions& options)
    : host_(host),
      registry_(registry),
      worker_(worker),
      shard_(shard),
      self_(self),
      mutations_(options.mutations == nullptr ? kNoMutations : *options.mutations),
      replica_(shard, self, options, *this) {}

ShardHost::~ShardHost() noexcept {
  for (auto& [id, activation] : activations_) activation->Stop();
}

// ---- The world

void ShardHost::OnMap(const ClusterState& map) {
  ReplicaEffects effects;
  replica_.OnMap(host_.clock().Now(), ViewOf(map, shard_, self_), effects);
  Perform(effects);
}

void ShardHost::OnMessage(CopyId from, const ReplicaMessage& message) {
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
  if (deadline_ == absl::InfinitePast()) deadline_ = replica_.NextDeadline();
  if (deadline_ > now) return;
  ReplicaEffects effects;
  replica_.Tick(now, stalled, effects);
  Perform(effects);
  worker_.Touch(shard_);
}

void ShardHost::CheckDeadlines(absl::Time now) {
  for (auto& [id, activation] : activations_) {
    if (!activation->idle()) activation->CheckDeadlines(now);
    activation->SettleCalls(now);
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
    case ServingChange::Kind::kStart: {
      admitting_ = true;
      ++served_;
      for (const auto& actor : replica_.store().ListToResume()) {
        absl::Status error;
        const auto* type = registry_.Find(actor.type);
        if (type == nullptr || Activate(actor, *type, error) == nullptr) {
          host_.log().Error("cannot resume actor",
                            {{"actor", actor.ToString()}, {"error", error.ToString()}});
        }
      }
      return;
    }
    case ServingChange::Kind::kStop:
      admitting_ = false;
      return StopServing();
    case ServingChange::Kind::kStopAdmit:
      admitting_ = false;
      return;
    case ServingChange::Kind::kAdmit: {
      admitting_ = true;
      auto parked = std::move(parked_);
      parked_.clear();
      for (auto& call : parked) Deliver(kj::mv(call));
      return;
    }
  }
}

void ShardHost::StopServing() {
  parked_.clear();  // They say Moved.
  auto stopped = std::move(activations_);
  activations_.clear();
  for (auto& [id, activation] : stopped) activation->Stop();
  // One of them may be on the stack.
  sweep_ = kj::evalLater([stopped = std::move(stopped), before = kj::mv(sweep_)]() mutable {
             stopped.clear();
           }).eagerlyEvaluate(nullptr);
}

// ---- Calls

void ShardHost::Deliver(kj::Own<InboundCall> call) {
  const auto& header = call->header();
  const auto* type = registry_.Find(header.actor.type);
  if (type == nullptr) {
    return call->Finish(Unimplemented(
        absl::StrCat("no actors of type ", header.actor.ToString(),
                     " are hosted here; hosted are: ", absl::StrJoin(registry_.names(), ", "))));
  }
  const bool settles = header.interface_id == kSettleInterface;
  auto method = type->methods.find({header.interface_id, header.method_id});
  if (!settles && method == type->methods.end()) {
    return call->Finish(Unimplemented(absl::StrCat(
        "actor type ", type->name, " has no interface ", absl::Hex(header.interface_id),
        " with a method ", header.method_id, "; is its schema older here?")));
  }
  if (!InOrder(header.lane)) {
    return call->Finish(Moved{worker_.map_version(), "a call before it in its lane was refused"});
  }
  if (replica_.serving() && !admitting_ && parked_.size() < kParkedMax) {
    parked_.push_back(kj::mv(call));
    return;
  }
  const bool read_only = !settles && method->second.read_only;
  const auto kind = read_only ? CallKind::kReadOnly : CallKind::kMutating;
  if (auto admitted = replica_.Admit(kind); !admitted.ok()) {
    RefuseLane(header.lane);
    return call->Finish(Moved{worker_.map_version(), std::string(admitted.message())});
  }
  absl::Status error;
  auto* activation = Activate(header.actor, *type, error);
  if (activation == nullptr) return call->Finish(ToException(error));
  if (settles) return activation->DeliverSettle(kj::mv(call));
  if (activation->Deliver(call)) return;
  RefuseLane(header.lane);
  call->Finish(Moved{worker_.map_version(),
                     "the actor keeps as many call records as it may; earlier calls of this caller "
                     "have to be answered first"});
}

// P6.9: what was sent behind a refused call must not run before it.
bool ShardHost::InOrder(const CallLane& lane) {
  if (lanes_.size() >= kLanesMax) {
    absl::erase_if(lanes_, [](const auto& lane) { return lane.second.served != 0; });
    if (lanes_.size() > kLanesMax / 2) lanes_.clear();
  }
  if (mutations_.overtaking) return true;
  auto [it, fresh] = lanes_.try_emplace({lane.origin, lane.number}, lane.attempt, served_);
  auto& state = it->second;
  if (!fresh && lane.attempt > state.attempt) state = {lane.attempt, served_};
  return lane.attempt == state.attempt && state.served == served_;
}

void ShardHost::RefuseLane(const CallLane& lane) {
  lanes_[{lane.origin, lane.number}] = {lane.attempt, 0};
}

Activation* ShardHost::Activate(const ActorId& id, const ActorType& type, absl::Status& error) {
  if (auto it = activations_.find(id); it != activations_.end()) return it->second.get();
  auto activation = kj::heap<Activation>(host_, static_cast<Activation::Shard&>(*this), id, type);
  error = activation->Load(replica_.store().Find(id));
  if (!error.ok()) return nullptr;
  auto& slot = activations_[id];
  slot = kj::mv(activation);
  return slot.get();
}

// ---- For the replica and the activations

std::optional<ActorChange> ShardHost::Encode(const ActorId& actor) {
  return activations_.at(actor)->Encode();
}

bool ShardHost::Busy() const {
  for (const auto& [id, activation] : activations_) {
    if (!activation->idle()) return true;
  }
  return false;
}

void ShardHost::Dirty(const ActorId& actor) {
  replica_.MarkDirty(actor);
  worker_.Touch(shard_);
}

void ShardHost::Stage(const ActorId& actor, ActorChange change) {
  replica_.Stage(actor, std::move(change));
  worker_.Touch(shard_);
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
