// ShardHost, part two: the calls that come to it, in the order of their lanes (P6.9).
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/actors/shard_host.h"
#include "troupe/actors/transaction_message.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// Remembered. Beyond it those that run here are forgotten, as they may be; if most are refused
// ones, all are, and order across the refusals that are under way is then not kept.
constexpr size_t kLanesMax = 1 << 16;
constexpr size_t kParkedMax = 4096;  // Calls that wait for a move to end; then Moved.
constexpr char kBehindARefusedOne[] = "a call before it in its lane was refused";

bool IsTransacted(const CallHeader& header) {
  return header.interface_id == kActivationInterface && header.method_id == kTransactedMethod;
}

bool IsForActivation(const CallHeader& header) {
  if (header.interface_id != kActivationInterface) return false;
  const bool decides = header.method_id >= kCommitMethod && header.method_id <= kAskMethod;
  return decides || IsWatchCall(header) || header.method_id == kSettleMethod ||
         header.method_id == kUnsuspendMethod;
}

}  // namespace

void ShardHost::Deliver(kj::Own<InboundCall> call) {
  if (IsTransacted(call->header())) {
    call = UnwrapTransacted(kj::mv(call));
    if (call.get() == nullptr) return;
  }
  const auto& header = call->header();
  const auto* type = registry_.Find(header.actor.type);
  if (type == nullptr) {
    return call->Finish(Unimplemented(worker_.WhyNotHosted(header.actor)));
  }
  const bool to_activation = IsForActivation(header);
  auto method = type->methods.find({header.interface_id, header.method_id});
  if (!to_activation && method == type->methods.end()) {
    return call->Finish(Unimplemented(absl::StrCat(
        "actor type ", type->name, " has no interface ", absl::Hex(header.interface_id),
        " with a method ", header.method_id, "; is its schema older here?")));
  }
  if (!InOrder(header.lane)) {
    return call->Finish(Moved{worker_.map_version(), kBehindARefusedOne});
  }
  // What an open turn waits for is part of what drains.
  if (replica_.serving() && (!admitting_ || unparking_) && !Awaited(*call)) {
    if (parked_.size() < kParkedMax) return parked_.push_back(kj::mv(call));
    RefuseLane(header.lane);
    return call->Finish(Moved{worker_.map_version(), absl::StrCat("shard ", shard_, " is moving")});
  }
  Take(kj::mv(call), *type);
}

// In the order in which they came, and before what comes meanwhile: an answer to a caller of this
// worker may bring its next call at once.
void ShardHost::Unpark() {
  if (std::exchange(unparking_, true)) return;
  KJ_DEFER(unparking_ = false);
  while (admitting_ && !parked_.empty()) {
    auto call = kj::mv(parked_.front());
    parked_.pop_front();
    if (InOrder(call->header().lane)) {
      const ActorType& type = *registry_.Find(call->header().actor.type);
      Take(kj::mv(call), type);
    } else {
      call->Finish(Moved{worker_.map_version(), kBehindARefusedOne});
    }
  }
}

// Of a type and a method that are known.
void ShardHost::Take(kj::Own<InboundCall> call, const ActorType& type) {
  const auto& header = call->header();
  const bool to_actor = header.interface_id != kActivationInterface;
  const bool read_only = to_actor && header.transaction == nullptr &&
                         type.methods.at({header.interface_id, header.method_id}).read_only;
  const auto kind = !admitting_ && Awaited(*call) ? CallKind::kAwaited
                    : read_only                   ? CallKind::kReadOnly
                                                  : CallKind::kMutating;
  if (auto admitted = replica_.Admit(kind); !admitted.ok()) {
    RefuseLane(header.lane);
    return call->Finish(Moved{worker_.map_version(), std::string(admitted.message())});
  }
  if (to_actor || IsWatchCall(header)) return Give(kj::mv(call), type);
  if (header.method_id == kUnsuspendMethod) return Unsuspend(kj::mv(call));
  if (header.method_id != kSettleMethod) return Give(kj::mv(call), type);
  Activate(header.actor, type).DeliverSettle(kj::mv(call));
}

bool ShardHost::Awaited(const InboundCall& call) const {
  for (const auto& link : call.header().chain) {
    auto it = activations_.find(link.actor);
    if (it != activations_.end() && it->second->Waits(link)) return true;
  }
  return false;
}

void ShardHost::Give(kj::Own<InboundCall> call, const ActorType& type) {
  const auto lane = call->header().lane;
  if (Activate(call->header().actor, type).Deliver(call)) return;
  RefuseLane(lane);
  call->Finish(Moved{worker_.map_version(),
                     "the actor keeps as many call records as it may; earlier calls of this caller "
                     "have to be answered first"});
}

void ShardHost::Unsuspend(kj::Own<InboundCall> call) {
  auto it = activations_.find(call->header().actor);
  const auto done = it != activations_.end()
                        ? it->second->Unsuspend()
                        : absl::FailedPreconditionError("the actor is not suspended");
  if (!done.ok()) return call->Finish(Failed(std::string(done.message())));
  capnp::MallocMessageBuilder nothing;
  nothing.getRoot<capnp::AnyPointer>();
  call->Finish(Payload::Of(nothing));
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
  auto& state = lanes_[{lane.origin, lane.number}];
  if (lane.attempt >= state.attempt) state = {lane.attempt, 0};
}

}  // namespace troupe
