#include "troupe/actors/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/gateway.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/actors/shard_of.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr size_t kCallBytes = 512;  // About what a waiting call takes beside its parameters.
constexpr absl::Duration kTick = absl::Milliseconds(10);
constexpr absl::Duration kStall = absl::Milliseconds(50);  // A longer gap is a stall of our loop.
constexpr uint64_t kTicksPerDeadlineCheck = 3;             // Within the margin below.
constexpr size_t kOpenTurnsTold = 8;                       // Of a loop that was held up.
constexpr char kBehindARefusedOne[] = "a call before it in its lane was refused";

// A call's own deadline is a little before its caller's, so that the better error gets there first.
absl::Duration Margin(absl::Duration time_left) {
  return std::min(time_left / 20, absl::Milliseconds(100));
}

}  // namespace

// Calls of the program and of gateways, on this loop.
class Worker::OwnOrigin final : public CallOrigin {
 public:
  explicit OwnOrigin(Worker& worker) : worker_(worker) {}
  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    CallHeader header{target, interface_id, method_id, worker_.own_calls_.Next(), {}};
    header.metadata = options.metadata;
    const absl::Time deadline =
        worker_.host_.clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
    return worker_.own_caller_.Call(std::move(header), std::move(params), deadline,
                                    &worker_.own_calls_);
  }

 private:
  Worker& worker_;
};

Worker::Worker(Host& host, const Registry& registry, WorkerControl& control, WorkerOptions options,
               Introduction introduction)
    : host_(host),
      registry_(registry),
      control_(control),
      options_(options),
      introduction_(std::move(introduction)),
      slice_(host),
      loop_watch_(host),
      links_(
          host, Lane::kData, static_cast<uint16_t>(options.index), [this] { return introduction_; },
          *this),
      router_(host, links_, *this, introduction_.boot),
      own_calls_(host.RandomId()),
      own_caller_(router_),
      hosts_durable_(registry.FindDurable() != nullptr),
      observer_links_(host, introduction_.node, options_.limits.observers),
      pool_(host, registry, router_, introduction_.node),
      last_tick_(host.clock().Now()),
      errors_(host.log()),
      tasks_(errors_) {
  tasks_.add(TickLoop());
}

Worker::~Worker() noexcept(false) {
  hosts_.clear();  // Calls in them are answered through us, and so are those to observers.
  pool_.Stop();
  observer_links_.CloseAll();
}

void Worker::Errors::taskFailed(kj::Exception&& exception) {
  log.Debug("worker task ended", {{"error", Words(exception)}});
}

kj::Own<CallOrigin> Worker::origin() { return kj::refcounted<OwnOrigin>(*this); }

// ---- The map

void Worker::OnMap(SharedMap map, Introduction introduction) {
  if (map_ && map->version <= map_->version) return;
  map_ = map;
  introduction_ = std::move(introduction);
  std::set<std::string> present;
  for (const auto& node : map->nodes) {
    if (node.boot == introduction_.boot || node.state == NodeState::kLeft) continue;
    present.insert(node.name);
    auto& peer = peers_[node.name];
    if (peer.copy != node.boot) peer = Peer{node.boot, {}, false, 1, 0};
    if (!node.addresses.empty()) links_.Want(node.name, node.addresses.front(), node.boot);
  }
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (present.contains(it->first)) {
      ++it;
      continue;
    }
    links_.Forget(it->first);
    it = peers_.erase(it);
  }
  // A newer run of a node voids what an older one may still have under way (P1.6).
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    const auto& peer = it->second.link->peer();
    const auto* node = peer.role == Role::kNode ? map->FindNode(peer.node) : nullptr;
    const bool known = node != nullptr && peer.boot != 0;
    const bool left = known && peer.boot == node->boot && node->state == NodeState::kLeft;
    const bool replaced = left || (known && peer.boot < node->boot);
    auto next = std::next(it);
    if (replaced) Close(it);
    it = next;
  }
  hosts_.resize(std::max(hosts_.size(), map->shards.size()));
  for (size_t shard = options_.index; shard < map->shards.size(); shard += options_.count) {
    TakeShard(static_cast<ShardId>(shard));
  }
  router_.OnMap(map);
  for (auto& [id, session] : sessions_) {
    if (session.wants_map) SendMap(session);
  }
}

void Worker::SendMap(Session& session) {
  // A client that does not read misses maps; it asks when a call of its is sent on.
  if (session.link->stream().backlog() > kBacklogPause) return;
  if (encoded_version_ != map_->version) {
    capnp::MallocMessageBuilder message;
    Write(*map_, message.initRoot<wire::ClusterState>());
    encoded_map_ = Payload::Of(message);
    encoded_version_ = map_->version;
  }
  capnp::MallocMessageBuilder header;
  header.initRoot<wire::MapFrame>().setVersion(map_->version);
  session.link->stream().Send(wire::KIND_MAP, header, encoded_map_.words());
}

ShardHost* Worker::HostOf(ShardId shard) {
  return shard < hosts_.size() ? hosts_[shard].get() : nullptr;
}

void Worker::MovePrimaries(const std::vector<WantedMove>& moves) {
  for (const auto& move : moves) {
    if (move.from != introduction_.boot) continue;
    if (auto* host = HostOf(move.shard)) host->BeginMove(move.to);
  }
}

// ---- Calls

void Worker::OnCallFrame(uint64_t id, Session& session, kj::Own<Frame> frame) {
  auto in = frame->header<wire::CallFrame>();
  const uint64_t number = in.getNumber();
  const size_t bytes = frame->payload().size() * sizeof(capnp::word) + kCallBytes;
  ++session.calls;
  if (auto full = NoRoomFor(session, bytes)) return Answer(id, number, Overloaded(*full));
  auto header = DecodeCall(in);
  if (session.link->peer().role == Role::kClient && std::holds_alternative<ActorCall>(header.id)) {
    return Answer(id, number,
                  Failed(absl::StrCat("a client's call to ", NameOf(header.actor),
                                      " carries the id of an actor's call; only nodes send those, "
                                      "and a client gives its calls ids of its own")));
  }
  if (session.link->peer().role == Role::kClient) header.by_actor = false;
  // Throws when the payload is not a message: an actor is never given one that cannot be read.
  CheckMessage(frame->payload());
  const auto time_left =
      std::min(absl::Milliseconds(in.getTimeLeftMs()), kDeadlineMax) - frame->transit();
  const absl::Time deadline = host_.clock().Now() + time_left - Margin(time_left);
  held_call_bytes_ += bytes;
  DispatchHere(kj::heap<InboundCall>(std::move(header), Payload::Of(kj::mv(frame)), deadline,
                                     [this, id, number, bytes](CallOutcome&& outcome) {
                                       held_call_bytes_ -= bytes;
                                       Answer(id, number, std::move(outcome));
                                     }));
}

std::optional<std::string> Worker::NoRoomFor(const Session& session, size_t call_bytes) const {
  const auto& limits = options_.limits;
  if (session.calls > limits.session_calls) {
    return absl::StrCat("more than ", limits.session_calls,
                        " calls are unanswered on one connection to node ", introduction_.node,
                        "; call again later");
  }
  if (held_call_bytes_ + call_bytes > limits.held_call_bytes) {
    return absl::StrCat("calls are unanswered that hold ", held_call_bytes_, " bytes of node ",
                        introduction_.node, "; a worker holds ", limits.held_call_bytes,
                        " at most; call again later");
  }
  return std::nullopt;
}

void Worker::Answer(uint64_t session, uint64_t number, CallOutcome&& outcome) {
  ++answered_;
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;  // Its caller is gone, or asks again elsewhere.
  --it->second.calls;
  const bool has_results = std::holds_alternative<Payload>(outcome);
  SendAnswer(it->second.link->stream(), number, std::move(outcome), map_version());
  if (has_results) EndIfUnread(session, it->second);
}

void Worker::DispatchHere(kj::Own<InboundCall> call) {
  if (!map_) return SendBack(*call, "the node has no map yet");
  const size_t owner = OwnerOf(call->header().actor);
  if (owner == options_.index) return Deliver(kj::mv(call));
  const CallLane lane = call->header().lane;
  if (refused_lanes_.Refuses(lane)) return SendBack(*call, kBehindARefusedOne);
  if (!control_.Forward(options_.index, owner, kj::mv(call))) refused_lanes_.Refuse(lane);
}

// P6.9: what the caller sent behind it in the same attempt is sent back too.
void Worker::SendBack(InboundCall& call, std::string why) {
  refused_lanes_.Refuse(call.header().lane);
  call.Finish(Moved{map_version(), std::move(why)});
}

void Worker::Deliver(kj::Own<InboundCall> call) {
  if (call->deadline() <= host_.clock().Now()) {
    return call->Finish(Overloaded(
        absl::StrCat("the call to ", NameOf(call->header().actor), " arrived after its deadline")));
  }
  if (refused_lanes_.Refuses(call->header().lane)) return SendBack(*call, kBehindARefusedOne);
  if (IsObserverKey(call->header().actor.key)) return CallObserver(kj::mv(call));
  if (IsPoolKey(call->header().actor.key)) return CallPool(kj::mv(call));
  const ShardId shard = ShardOf(call->header().actor, *map_);
  auto* host = HostOf(shard);
  if (host == nullptr || admission_ == Admission::kTakesNone) {
    return SendBack(*call,
                    absl::StrCat("node ", introduction_.node, " holds no copy of shard ", shard));
  }
  host->Deliver(kj::mv(call));
}

void Worker::NeedNewerMap(uint64_t than) { control_.NeedNewerMap(than); }

// ---- Reads confirmed through the register

void Worker::ConfirmRead(ShardId shard, uint64_t id) {
  confirmations_[shard] = std::max(confirmations_[shard], id);
  if (!confirming_) BeginConfirmation();
}

void Worker::BeginConfirmation() {
  confirming_ = true;
  auto asked = std::exchange(confirmations_, {});
  dropped_while_confirming_.clear();
  control_.Confirm(options_.index, [this, asked = std::move(asked)](SharedMap map) mutable {
    confirming_ = false;
    for (ShardId shard : dropped_while_confirming_) asked.erase(shard);
    if (map) {
      for (const auto& [shard, id] : asked) {
        if (auto* host = HostOf(shard)) host->OnConfirmed(id, *map);
      }
    } else {
      for (const auto& [shard, id] : asked) {
        confirmations_[shard] = std::max(confirmations_[shard], id);
      }
    }
    if (!confirmations_.empty()) BeginConfirmation();
  });
}

// ---- Time

kj::Promise<void> Worker::TickLoop() {
  return host_.timer().afterDelay(ToKj(kTick)).then([this] {
    Tick();
    return TickLoop();
  });
}

void Worker::ForEachReplica(const std::function<void(const ShardReplica&)>& look) const {
  for (const auto& host : hosts_) {
    if (host) look(std::as_const(*host).replica());
  }
}

// What goes wrong in one shard must not stop the time of all.
void Worker::Tick() {
  const absl::Time now = host_.clock().Now();
  const absl::Duration gap = now - last_tick_ - kTick;
  if (gap > kStall) stalled_ += gap;
  loop_watch_.Beat(now, gap, [this] { return OpenTurns(); });
  last_tick_ = now;
  const bool check = ++ticks_ % kTicksPerDeadlineCheck == 0;
  if (!unneeded_.empty()) DropUnneeded(now);
  observer_links_.EndLate(now);
  if (check) pool_.Tick(now);
  for (ShardId shard = 0; shard < hosts_.size(); ++shard) {
    auto* host = HostOf(shard);
    if (host == nullptr) continue;
    auto failure = kj::runCatchingExceptions([&] {
      host->Tick(now, stalled_);
      if (check) host->CheckDeadlines(now);
    });
    KJ_IF_MAYBE (e, failure) {
      host_.log().Error("tick failed", {{"shard", shard}, {"error", Words(*e)}});
    }
  }
}

std::vector<std::string> Worker::OpenTurns() const {
  std::vector<std::string> out;
  for (const auto& host : hosts_) {
    if (host) host->AddOpenTurns(out, kOpenTurnsTold);
  }
  return out;
}

WorkerStatus Worker::status() const {
  WorkerStatus out;
  out.answered = answered_;
  out.activations = pool_.objects();
  for (const auto& host : hosts_) {
    if (!host) continue;
    out.activations += host->activation_count();
    out.stored_actors += host->replica().store().size();
    out.restoring += host->restoring();
    out.suspended += host->suspended().size();
    for (const auto& actor : host->suspended()) {
      if (out.suspended_actors.size() >= kSuspendedShown) break;
      out.suspended_actors.push_back(host->WhySuspended(actor));
    }
  }
  return out;
}

}  // namespace troupe
