#include "troupe/actors/router.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_name.h"
#include "troupe/actors/child_key.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/router_lane.h"
#include "troupe/actors/shard_of.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(5);
constexpr size_t kLaneWindow = 256;          // In flight to one actor; the rest waits here (P6).
constexpr size_t kOutstandingMax = 1 << 16;  // Of one Router; beyond it callers get OVERLOADED.
constexpr size_t kOutstandingBytesMax = 256 << 20;  // Of their parameters, the same.

}  // namespace

ClientCall ClientSequence::Next() {
  complete_.push_back(false);
  return {client_, first_ + complete_.size() - 1, first_};
}

void ClientSequence::Complete(uint64_t sequence) {
  complete_[sequence - first_] = true;
  while (!complete_.empty() && complete_.front()) {
    complete_.pop_front();
    ++first_;
  }
}

Router::Router(Host& host, LinkPool& links, Surroundings& surroundings, Boot self)
    : host_(host),
      links_(links),
      surroundings_(surroundings),
      self_(self),
      next_pooled_(host.RandomId().lo),
      origin_(host.RandomId().lo),
      task_errors_(host.log()),
      tasks_(task_errors_) {}

Router::~Router() noexcept(false) = default;

void Router::TaskErrors::taskFailed(kj::Exception&& exception) {
  log.Error("routing task failed", {{"error", Words(exception)}});
}

Router::Caller::Caller(Router& router) : router_(router) {}

Router::Caller::~Caller() noexcept(false) {
  auto end = [this](Outgoing& call) {
    router_.Forget(call);
    call.fulfiller->reject(
        Disconnected(absl::StrCat("whoever called ", NameOf(call.header.actor, router_.map_.get()),
                                  " has ended: whether the call has taken effect is not known")));
  };
  auto mine = [this](const Outgoing& call) {
    auto it = lanes_.find(call.header.actor);
    return it != lanes_.end() && it->second.get() == call.lane;
  };
  absl::erase_if(router_.in_flight_, [&](auto& entry) {
    if (!mine(*entry.second)) return false;
    end(*entry.second);
    return true;
  });
  for (auto& [actor, lane] : lanes_) {
    for (auto& [serial, call] : lane->waiting) end(*call);
    router_.stalled_.erase(lane->number);
  }
}

void Router::Caller::SweepIdleLanes() {
  if (lanes_.size() < sweep_at_) return;
  std::erase_if(lanes_, [](auto& entry) { return entry.second->idle(); });
  sweep_at_ = std::max<size_t>(1024, 2 * lanes_.size());
}

kj::Promise<Payload> Router::Caller::Call(CallHeader header, Payload params, absl::Time deadline,
                                          ClientSequence* sequence) {
  if (auto refusal = router_.Refuse(header, params); refusal != nullptr) {
    if (sequence != nullptr) sequence->Complete(std::get<ClientCall>(header.id).sequence);
    return kj::mv(KJ_ASSERT_NONNULL(refusal));
  }
  SweepIdleLanes();
  if (IsPoolKey(header.actor.key)) header.actor.key = PoolKey(router_.next_pooled_++);
  auto& lane = lanes_[header.actor];
  if (!lane) lane = std::make_unique<Lane>(router_.next_lane_++, IsObserverKey(header.actor.key));
  if (lane->to_observer && lane->in_flight + lane->waiting.size() >= kLaneWindow) {
    auto full = Overloaded(absl::StrCat(kLaneWindow, " calls of this caller to observer ",
                                        NameOf(header.actor, router_.map_.get()),
                                        " are unanswered; call it later"));
    if (sequence != nullptr) sequence->Complete(std::get<ClientCall>(header.id).sequence);
    return full;
  }
  auto paf = kj::newPromiseAndFulfiller<Payload>();
  auto call = kj::heap<Outgoing>();
  call->serial = router_.next_serial_++;
  call->lane = lane.get();
  call->header = std::move(header);
  call->params = std::move(params);
  call->started = router_.host_.clock().Now();
  call->deadline = deadline;
  call->fulfiller = kj::mv(paf.fulfiller);
  call->sequence = sequence;
  router_.Submit(kj::mv(call));
  return kj::mv(paf.promise);
}

kj::Maybe<kj::Exception> Router::Refuse(const CallHeader& header, const Payload& params) const {
  if (header.actor.key.size() > kKeyBytesMax) {
    return Failed(absl::StrCat("the actor's key has ", header.actor.key.size(), " bytes; at most ",
                               kKeyBytesMax, " are allowed"));
  }
  if (IsObserverKey(header.actor.key) && !ObserverKey::Decode(header.actor.key)) {
    return Failed(absl::StrCat("the key of ", NameOf(header.actor, map_.get()),
                               " begins as those of observers do, but is none of them"));
  }
  if (IsPoolKey(header.actor.key) && !NumberOfPoolKey(header.actor.key)) {
    return Failed(absl::StrCat("the key of ", NameOf(header.actor, map_.get()),
                               " begins as those of pools do, but is none of them"));
  }
  if (IsChildKey(header.actor.key)) {
    return Failed(
        absl::StrCat("child ", std::string(NameOfChildKey(header.actor.key)),
                     " is called from outside: only its parent's object and that object's "
                     "other children reach it, by refs that are not kept or sent"));
  }
  if (params.size_bytes() > kCallBytesMax) {
    return Failed(absl::StrCat("the parameters of the call to ", NameOf(header.actor, map_.get()),
                               " are ", params.size_bytes(), " bytes; at most ", kCallBytesMax,
                               " can be sent"));
  }
  if (header.chain.size() > kChainMax) {
    return Failed(absl::StrCat("calls within calls are ", header.chain.size(), " deep at ",
                               NameOf(header.actor, map_.get()), "; at most ", kChainMax,
                               " are allowed"));
  }
  if (outstanding() >= kOutstandingMax) {
    return Overloaded(absl::StrCat("more than ", kOutstandingMax, " calls are unanswered; call ",
                                   NameOf(header.actor, map_.get()), " later"));
  }
  if (outstanding_bytes_ + params.size_bytes() > kOutstandingBytesMax) {
    return Overloaded(absl::StrCat("calls are unanswered with ", outstanding_bytes_,
                                   " bytes of parameters; at most ", kOutstandingBytesMax,
                                   " are held; call ", NameOf(header.actor, map_.get()), " later"));
  }
  return nullptr;
}

void Router::Submit(kj::Own<Outgoing> call) {
  deadlines_[{call->deadline, call->serial}] = call.get();
  outstanding_bytes_ += call->params.size_bytes();
  WatchDeadlines();
  auto& lane = *call->lane;
  lane.waiting[call->serial] = kj::mv(call);
  if (!lane.stalled) Pump(lane);
}

// Any node that the caller has a link to takes the call to whatever link the observer's client has.
Router::Place Router::LocateObserver(const Outgoing& call, std::string& node,
                                     std::string& why) const {
  if (self_ != 0 || surroundings_.HasObserver(call.header.actor)) return Place::kHere;
  if (map_) {
    const auto& before = call.lane->node;
    if (map_->FindNode(before) != nullptr && links_.Find(before) != nullptr) {
      node = before;
      return Place::kNode;
    }
    for (const auto& entry : map_->nodes) {
      if (entry.state != NodeState::kUp || links_.Find(entry.name) == nullptr) continue;
      node = entry.name;
      return Place::kNode;
    }
  }
  why = absl::StrCat("no connection to any node of the cluster", surroundings_.Troubles());
  return Place::kNowhere;
}

Router::Place Router::Locate(const Outgoing& call, std::string& node, std::string& why) const {
  if (call.lane->to_observer) return LocateObserver(call, node, why);
  if (IsPoolKey(call.header.actor.key)) return LocatePool(call, node, why);
  if (!map_) {
    why = absl::StrCat("no node of the cluster has answered yet", surroundings_.Troubles());
    return Place::kNowhere;
  }
  const ShardId shard = ShardOf(call.header.actor, *map_);
  const auto& entry = map_->shards[shard];
  if (entry.state == ShardState::kLost) {
    why = absl::StrCat("StateLost: no copy of shard ", shard,
                       " is left; the operator decides (recover or declare lost)");
    return Place::kLost;
  }
  const NodeEntry* primary = entry.primary == 0 ? nullptr : map_->FindBoot(entry.primary);
  if (primary == nullptr) {
    why = absl::StrCat("shard ", shard, " has no primary in map ", map_->version);
    return Place::kNowhere;
  }
  if (primary->boot == self_) return Place::kHere;
  node = primary->name;
  if (links_.Find(node) == nullptr) {
    links_.Want(node, primary->addresses.empty() ? "" : primary->addresses.front(), primary->boot);
    why = absl::StrCat("no connection to node ", node);
    return Place::kNowhere;
  }
  return Place::kNode;
}

void Router::Pump(Lane& lane) {
  while (!lane.waiting.empty() && lane.in_flight < kLaneWindow) {
    auto first = lane.waiting.begin();
    std::string node, why;
    const Place place = Locate(*first->second, node, why);
    const bool same_path = place == lane.place && node == lane.node;
    if (lane.in_flight > 0 && (lane.stalled || !same_path)) {
      lane.stalled = true;  // The old path has to come back first.
      return;
    }
    if (place == Place::kLost) {
      auto lost = kj::mv(first->second);
      lane.waiting.erase(first);
      const bool pooled = IsPoolKey(lost->header.actor.key);
      Complete(kj::mv(lost), pooled ? Unimplemented(why) : Failed(why));
      continue;
    }
    if (place == Place::kNowhere) {
      first->second->trouble = why;
      return Stall(lane);
    }
    if (lane.stalled) ++lane.attempt;
    lane.stalled = false;
    stalled_.erase(lane.number);
    lane.place = place;
    lane.node = node;
    auto call = kj::mv(first->second);
    lane.waiting.erase(first);
    Transmit(kj::mv(call), place, node);
    if (lane.stalled) return;  // It came back at once.
  }
}

void Router::Transmit(kj::Own<Outgoing> owned, Place place, const std::string& node) {
  auto& call = *owned;
  const absl::Time now = host_.clock().Now();
  call.number = next_number_++;
  call.node = node;
  ++call.attempts;
  ++call.lane->in_flight;
  call.header.lane = {origin_, call.lane->number, call.lane->attempt};
  if (call.sequence != nullptr) {
    std::get<ClientCall>(call.header.id).first_incomplete = call.sequence->first_incomplete();
  }
  const uint64_t number = call.number;
  in_flight_[number] = kj::mv(owned);
  if (place == Place::kHere) {
    surroundings_.DispatchHere(kj::heap<InboundCall>(
        call.header, call.params, call.deadline,
        [this, number](CallOutcome&& outcome) { OnOutcome(number, std::move(outcome)); }));
    return;
  }
  capnp::MallocMessageBuilder message;
  EncodeCall(number, call.header, call.deadline - now, message.initRoot<wire::CallFrame>());
  call.boot = map_->FindNode(node)->boot;
  links_.Find(node)->stream().Send(wire::KIND_CALL, message, call.params.words());
}

void Router::OnAnswer(kj::Own<Frame> frame) {
  const uint64_t number = frame->header<wire::AnswerFrame>().getNumber();
  OnOutcome(number, ReadAnswer(kj::mv(frame)));
}

void Router::OnOutcome(uint64_t number, CallOutcome&& outcome) {
  auto it = in_flight_.find(number);
  if (it == in_flight_.end()) return;  // Too late, or sent elsewhere meanwhile.
  auto call = kj::mv(it->second);
  in_flight_.erase(it);
  auto& lane = *call->lane;
  --lane.in_flight;
  if (auto* moved = std::get_if<Moved>(&outcome)) {
    if (map_ && moved->map_version > map_->version) surroundings_.NeedNewerMap(map_->version);
    Retract(kj::mv(call), std::move(moved->text));
    return;
  }
  Complete(kj::mv(call), std::move(outcome));
  if (!lane.waiting.empty() && (!lane.stalled || lane.in_flight == 0)) Pump(lane);
}

// Back to the head of its lane, to be sent again once nothing is in flight.
void Router::Retract(kj::Own<Outgoing> call, std::string why) {
  auto& lane = *call->lane;
  call->number = 0;
  call->trouble = std::move(why);
  if (!call->fulfiller->isWaiting()) {  // Nobody waits any more: it is not sent again.
    Complete(kj::mv(call), Disconnected("cancelled"));
  } else {
    lane.waiting[call->serial] = kj::mv(call);
  }
  Stall(lane);
}

void Router::Stall(Lane& lane) {
  lane.stalled = true;
  if (lane.in_flight > 0) return;
  if (lane.waiting.empty()) {  // Nobody waits for its calls any more: what comes begins anew.
    lane.stalled = false;
    ++lane.attempt;
    stalled_.erase(lane.number);
    return;
  }
  stalled_[lane.number] = &lane;
  RetryLater();
}

// Left open, a client's call would hold back the records of all later ones.
void Router::Forget(const Outgoing& call) {
  deadlines_.erase({call.deadline, call.serial});
  outstanding_bytes_ -= call.params.size_bytes();
  if (call.sequence != nullptr) {
    call.sequence->Complete(std::get<ClientCall>(call.header.id).sequence);
  }
}

void Router::Complete(kj::Own<Outgoing> call, CallOutcome&& outcome) {
  Forget(*call);
  if (auto* results = std::get_if<Payload>(&outcome)) {
    call->fulfiller->fulfill(std::move(*results));
  } else {
    call->fulfiller->reject(kj::mv(std::get<kj::Exception>(outcome)));
  }
}

void Router::OnMap(SharedMap map) {
  if (map_ && map->version <= map_->version) return;
  map_ = std::move(map);
  // A path to a process that the map has given up will never answer: its calls go elsewhere.
  RetractWhere(
      [this](const Outgoing& call) {
        if (call.node.empty()) return false;
        const auto* node = map_->FindNode(call.node);
        const auto& actor = call.header.actor;
        // A newer run voids the link to the older one, which may end without a word (P1.6).
        if (node == nullptr || node->boot != call.boot) return true;
        const bool gone = node->state == NodeState::kFenced || node->state == NodeState::kLeft;
        return gone && (call.lane->to_observer || IsPoolKey(actor.key) ||
                        map_->shards[ShardOf(actor, *map_)].primary != node->boot);
      },
      "the node was given up by the cluster");
  PumpStalled();
}

void Router::RetractWhere(kj::Function<bool(const Outgoing&)> matches, const std::string& why) {
  std::vector<uint64_t> numbers;
  for (auto& [number, call] : in_flight_) {
    if (matches(*call)) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  for (uint64_t number : numbers) {
    auto it = in_flight_.find(number);
    if (it == in_flight_.end()) continue;
    const auto& call = *it->second;
    if (call.lane->to_observer) {  // It may have run, and has no record: not again (P6.14).
      OnOutcome(number, Disconnected(absl::StrCat("the call to observer ",
                                                  NameOf(call.header.actor, map_.get()),
                                                  " may not have reached it: ", why)));
    } else {
      OnOutcome(number, Moved{0, why});
    }
  }
}

void Router::OnLinkUp(const std::string&) { PumpStalled(); }

void Router::OnLinkDown(const std::string& node, const std::string& detail) {
  RetractWhere([&node](const Outgoing& call) { return call.node == node; },
               absl::StrCat("the connection to node ", node, " broke: ", detail));
}

void Router::PumpStalled() {
  auto lanes = std::exchange(stalled_, {});
  for (auto& [number, lane] : lanes) {
    stalled_[number] = lane;  // Pump removes it if it gets on.
    auto failure = kj::runCatchingExceptions([this, lane = lane] { Pump(*lane); });
    KJ_IF_MAYBE (e, failure) {  // The lanes behind it go on.
      host_.log().Error("calls could not be sent", {{"lane", number}, {"error", Words(*e)}});
    }
  }
}

void Router::RetryLater() {
  if (retrying_) return;
  retrying_ = true;
  tasks_.add(host_.timer().afterDelay(ToKj(kRetryPause)).then([this] {
    retrying_ = false;
    if (!stalled_.empty() && map_) surroundings_.NeedNewerMap(map_->version);
    PumpStalled();
    if (!stalled_.empty()) RetryLater();
  }));
}

}  // namespace troupe
