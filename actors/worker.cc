#include "troupe/actors/worker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/gateway.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(10);
constexpr absl::Duration kStall = absl::Milliseconds(50);  // A longer gap is a stall of our loop.
constexpr uint64_t kTicksPerDeadlineCheck = 3;             // Within the margin below.
constexpr size_t kReplicaFrameBytes = 4 << 20;
// That a copy stays after the map has taken it away: much longer than a lease that it granted, and
// than any message or confirmation for it is under way.
constexpr absl::Duration kUnneededCopyStays = absl::Seconds(10);
constexpr char kBehindARefusedOne[] = "a call before it in its lane was refused";

// A call's own deadline is a little before its caller's, so that the better error gets there first.
absl::Duration Margin(absl::Duration time_left) {
  return std::min(time_left / 20, absl::Milliseconds(100));
}

size_t BytesOf(const ReplicaMessage& message) {
  size_t bytes = 128;
  auto add = [&bytes](const std::vector<SharedUpdate>& updates) {
    for (const auto& update : updates) bytes += update->bytes();
  };
  if (const auto* batch = std::get_if<Batch>(&message.body)) add(batch->updates);
  if (const auto* snapshot = std::get_if<Snapshot>(&message.body)) add(snapshot->updates);
  if (const auto* report = std::get_if<Report>(&message.body)) {
    for (const auto& entry : report->entries) bytes += 64 + entry.actor.key.size();
  }
  return bytes;
}

bool IsLoad(const ReplicaMessage& message) {
  return std::holds_alternative<Batch>(message.body) ||
         std::holds_alternative<Snapshot>(message.body);
}

}  // namespace

// Calls of the program and of gateways, on this loop.
class Worker::OwnOrigin final : public CallOrigin {
 public:
  explicit OwnOrigin(Worker& worker) : worker_(worker) {}
  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    CallHeader header{target, interface_id, method_id, worker_.own_calls_.Next(), {}};
    const absl::Time deadline =
        worker_.host_.clock().Now() + std::min(options.deadline, kDeadlineMax);
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
      links_(
          host, Lane::kData, static_cast<uint16_t>(options.index), [this] { return introduction_; },
          *this),
      router_(host, links_, *this, introduction_.boot),
      own_calls_(host.RandomId()),
      own_caller_(router_),
      last_tick_(host.clock().Now()),
      errors_(host.log()),
      tasks_(errors_) {
  tasks_.add(TickLoop());
}

Worker::~Worker() noexcept(false) {
  hosts_.clear();  // Calls in them are answered through us.
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
  for (ShardId shard = 0; shard < map->shards.size(); ++shard) {
    if (shard % options_.count != options_.index) continue;
    const auto& entry = map->shards[shard];
    const CopyId self = introduction_.boot;
    const bool ours =
        Contains(entry.isr, self) || Contains(entry.elr, self) || Contains(entry.learners, self);
    if (hosts_.size() <= shard) hosts_.resize(shard + 1);
    auto& slot = hosts_[shard];
    if (!slot && ours) {
      slot = std::make_unique<ShardHost>(host_, registry_, static_cast<ShardHost::Worker&>(*this),
                                         shard, self, options_.replica);
    }
    if (!slot) continue;
    if (ours) {
      unneeded_.erase(shard);
    } else {
      unneeded_.try_emplace(shard, host_.clock().Now());
    }
    slot->OnMap(*map);
    Touch(shard);
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

// ---- Links

std::optional<RefusalReason> Worker::JudgePeer(const Introduction& theirs) const {
  if (theirs.role == Role::kClient && client_sessions_ >= options_.limits.client_sessions) {
    return RefusalReason{wire::Refusal::Reason::BUSY,
                         absl::StrCat("worker ", options_.index, " of node ", introduction_.node,
                                      " serves ", client_sessions_, " clients; at most ",
                                      options_.limits.client_sessions, " can be connected")};
  }
  if (!map_ || theirs.role == Role::kClient) return std::nullopt;
  const auto* node = map_->FindNode(theirs.node);
  if (node == nullptr || theirs.boot == 0 || theirs.boot >= node->boot) return std::nullopt;
  return RefusalReason{wire::Refusal::Reason::STALE,
                       absl::StrCat("node ", theirs.node, " has been started again as boot ",
                                    node->boot, "; this is boot ", theirs.boot)};
}

void Worker::OnDataStream(kj::Own<DetachedStream> stream, std::string peer_address) {
  if (hellos_ >= options_.limits.hellos) {
    host_.log().Info("connection closed: too many have not said hello",
                     {{"peer", peer_address}, {"limit", options_.limits.hellos}});
    return;
  }
  ++hellos_;
  auto attached = host_.network().Attach(kj::mv(stream));
  auto link = AcceptLink(host_, kj::mv(attached), introduction_,
                         [this](const Introduction& theirs) { return JudgePeer(theirs); });
  tasks_.add(link.then(
      [this](kj::Own<Link> link) {
        --hellos_;
        Open(kj::mv(link));
      },
      [this, peer_address](kj::Exception&& e) {
        --hellos_;
        host_.log().Info("connection refused", {{"peer", peer_address}, {"reason", Words(e)}});
      }));
}

void Worker::Open(kj::Own<Link> link) {
  // Several may have said hello since the first was judged.
  if (auto refusal = JudgePeer(link->peer()); refusal.has_value()) {
    host_.log().Info("connection closed", {{"reason", refusal->detail}});
    return;
  }
  const uint64_t id = next_session_++;
  session_of_[link.get()] = id;
  client_sessions_ += link->peer().role == Role::kClient;
  auto& session = sessions_[id];
  session.link = kj::mv(link);
  session.link->Start(*this);
}

void Worker::Close(std::map<uint64_t, Session>::iterator session) {
  auto& link = session->second.link;
  client_sessions_ -= link->peer().role == Role::kClient;
  session_of_.erase(link.get());
  Retire(kj::mv(link));
  sessions_.erase(session);
}

void Worker::OnOtherStream(kj::Own<DetachedStream> stream, std::string first_bytes) {
  const size_t limit = options_.limits.gateway_connections;
  if (gateways_ >= limit + options_.limits.hellos) return;  // Not even to be told so.
  auto attached = PrefixedStream(std::move(first_bytes), host_.network().Attach(kj::mv(stream)));
  auto served =
      gateways_ < limit
          ? ServeGateway(kj::mv(attached), origin(), registry_)
          : RefuseGateway(kj::mv(attached), host_.timer(),
                          absl::StrCat("worker ", options_.index, " of node ", introduction_.node,
                                       " has ", gateways_, " Cap'n Proto connections; at most ",
                                       limit, " can be open"));
  ++gateways_;
  tasks_.add(served.attach(kj::defer([this] { --gateways_; })));
}

void Worker::Retire(kj::Own<Link> link) {
  tasks_.add(kj::evalLater([link = kj::mv(link)] {}));
}

void Worker::OnFrame(Link& link, kj::Own<Frame> frame) {
  auto known = session_of_.find(&link);
  if (known == session_of_.end()) return;
  const uint64_t id = known->second;
  auto& session = sessions_.at(id);
  switch (frame->kind()) {
    case wire::KIND_CALL:
      return OnCallFrame(id, session, kj::mv(frame));
    case wire::KIND_REPLICA:
      if (link.peer().role == Role::kNode && link.peer().boot != 0) {
        OnReplicaFrame(link, link.peer().boot, *frame, true);
      }
      return;
    case wire::KIND_MAP_PULL:
      session.wants_map = true;
      if (map_ && map_->version > frame->header<wire::MapPull>().getHave()) SendMap(session);
      return;
    case wire::KIND_STATUS_PULL:
      return OnStatusPull(id, session, frame->header<wire::StatusPull>().getNumber());
    default:
      return;  // Of a newer peer.
  }
}

void Worker::OnStatusPull(uint64_t id, Session& session, uint64_t number) {
  if (session.status_pulls >= options_.limits.status_pulls) {  // Ends the link.
    kj::throwFatalException(
        Overloaded(absl::StrCat(session.status_pulls,
                                " questions for the status are unanswered on this link; "
                                "at most ",
                                options_.limits.status_pulls, " can be")));
  }
  ++session.status_pulls;
  control_.Status(options_.index, number, [this, id](Payload status) {
    auto it = sessions_.find(id);
    if (it == sessions_.end()) return;
    --it->second.status_pulls;
    capnp::MallocMessageBuilder header;
    header.initRoot<wire::MapFrame>();
    it->second.link->stream().Send(wire::KIND_STATUS, header, status.words());
  });
}

void Worker::OnEnd(Link& link, LinkEnd end, std::string detail) {
  auto known = session_of_.find(&link);
  if (known == session_of_.end()) return;
  if (end == LinkEnd::kMalformed) {
    host_.log().Warning("link ended: what came is not ours",
                        {{"peer", link.peer().node}, {"detail", detail}});
  }
  Close(sessions_.find(known->second));
}

void Worker::OnLinkUp(const std::string& node, Link& link) {
  auto& peer = peers_[node];
  peer.in_flight = 0;
  peer.queue.clear();
  peer.queue_has_batch = false;
  for (ShardId shard = 0; shard < hosts_.size(); ++shard) {
    if (!hosts_[shard]) continue;
    hosts_[shard]->replica().OnPeerConnected(peer.copy);
    Touch(shard);
  }
  control_.OnTraffic(node, link.peer().boot);
  router_.OnLinkUp(node);
}

void Worker::OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) {
  switch (frame->kind()) {
    case wire::KIND_ANSWER:
      return router_.OnAnswer(kj::mv(frame));
    case wire::KIND_REPLICA:
      return OnReplicaFrame(link, peers_[node].copy, *frame, false);
    default:
      return;
  }
}

void Worker::OnLinkDown(const std::string& node, const LinkLoss& loss) {
  auto peer = peers_.find(node);
  const Boot boot = peer == peers_.end() ? 0 : peer->second.copy;
  if (peer != peers_.end()) {
    peer->second.in_flight = 0;
    peer->second.queue.clear();
    peer->second.queue_has_batch = false;
  }
  if (loss.was_up) {
    host_.log().Info("link lost", {{"node", node}, {"detail", loss.detail}});
    router_.OnLinkDown(node, loss.detail);
  }
  if (!loss.replaced) control_.OnLinkLoss(node, boot, loss);
}

// ---- Calls

void Worker::OnCallFrame(uint64_t id, Session& session, kj::Own<Frame> frame) {
  auto in = frame->header<wire::CallFrame>();
  const uint64_t number = in.getNumber();
  ++session.calls;
  if (session.calls > options_.limits.session_calls) {
    return Answer(id, number,
                  Overloaded(absl::StrCat("more than ", options_.limits.session_calls,
                                          " calls are unanswered on one connection to node ",
                                          introduction_.node, "; call again later")));
  }
  auto header = DecodeCall(in);
  // Throws when the payload is not a message: an actor is never given one that cannot be read.
  (void)capnp::FlatArrayMessageReader(frame->payload());
  const auto time_left =
      std::min(absl::Milliseconds(in.getTimeLeftMs()), kDeadlineMax) - frame->transit();
  const absl::Time deadline = host_.clock().Now() + time_left - Margin(time_left);
  DispatchHere(kj::heap<InboundCall>(
      std::move(header), Payload::Of(kj::mv(frame)), deadline,
      [this, id, number](CallOutcome&& outcome) { Answer(id, number, std::move(outcome)); }));
}

void Worker::Answer(uint64_t session, uint64_t number, CallOutcome&& outcome) {
  ++answered_;
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;  // Its caller is gone, or asks again elsewhere.
  --it->second.calls;
  capnp::MallocMessageBuilder message;
  auto answer = message.initRoot<wire::AnswerFrame>();
  answer.setNumber(number);
  auto& stream = it->second.link->stream();
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    answer.setResults();
    return stream.Send(wire::KIND_ANSWER, message, results->words());
  }
  if (const auto* error = std::get_if<kj::Exception>(&outcome)) {
    EncodeFailure(*error, answer.initFailure());
  } else {
    const auto& moved = std::get<Moved>(outcome);
    auto out = answer.initMoved();
    out.setMapVersion(std::max(moved.map_version, map_version()));
    out.setText(kj::StringPtr(moved.text.c_str(), moved.text.size()));
  }
  stream.Send(wire::KIND_ANSWER, message);
}

void Worker::DispatchHere(kj::Own<InboundCall> call) {
  if (!map_) return SendBack(*call, "the node has no map yet");
  const ShardId shard = ShardOf(call->header().actor, map_->config.shards);
  const size_t owner = shard % options_.count;
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
    return call->Finish(Overloaded(absl::StrCat("the call to ", call->header().actor.ToString(),
                                                " arrived after its deadline")));
  }
  if (refused_lanes_.Refuses(call->header().lane)) return SendBack(*call, kBehindARefusedOne);
  const ShardId shard = ShardOf(call->header().actor, map_->config.shards);
  auto* host = HostOf(shard);
  if (host == nullptr || admission_ == Admission::kTakesNone) {
    return SendBack(*call,
                    absl::StrCat("node ", introduction_.node, " holds no copy of shard ", shard));
  }
  host->Deliver(kj::mv(call));
}

void Worker::NeedNewerMap(uint64_t than) { control_.NeedNewerMap(than); }

// ---- Replication

void Worker::Propose(Command command) { control_.Propose(std::move(command)); }

void Worker::Touch(ShardId shard) {
  touched_.insert(shard);
  if (turn_end_scheduled_) return;
  turn_end_scheduled_ = true;
  tasks_.add(kj::evalLast([this] { EndTurn(); }));
}

void Worker::SendTo(CopyId copy, ReplicaMessage message) {
  if (replies_ != nullptr && copy == replying_to_ && message.primary == copy) {
    replies_->push_back(std::move(message));
    return;
  }
  for (auto& [node, peer] : peers_) {
    if (peer.copy != copy) continue;
    peer.queue_has_batch |= IsLoad(message);
    peer.queue.push_back(std::move(message));
    if (!collecting_) Touch(peer.queue.back().shard);
    return;
  }
}

// At the end of a turn of the loop: batches are cut where nobody has to be waited for, and what
// gathered for each peer goes out in one frame.
void Worker::EndTurn() {
  turn_end_scheduled_ = false;
  const absl::Time now = host_.clock().Now();
  collecting_ = true;
  KJ_DEFER(collecting_ = false);
  for (ShardId shard : std::exchange(touched_, {})) {
    if (auto* host = HostOf(shard)) host->Settle(now);
    unsent_.insert(shard);
  }
  for (auto& [node, peer] : peers_) {
    if (peer.in_flight == 0 && links_.Find(node) != nullptr) {
      for (ShardId shard : unsent_) {
        auto* host = HostOf(shard);
        if (host != nullptr && host->replica().HasUnsent(peer.copy)) {
          host->CollectFor(now, peer.copy);
        }
      }
    }
    Flush(node, peer);
  }
  std::erase_if(unsent_, [this](ShardId shard) {
    auto* host = HostOf(shard);
    if (host == nullptr) return true;
    const auto peers = host->replica().Peers();
    return std::none_of(peers.begin(), peers.end(),
                        [&](CopyId copy) { return host->replica().HasUnsent(copy); });
  });
}

void Worker::Flush(const std::string& node, Peer& peer) {
  if (peer.queue.empty()) return;
  auto queue = std::exchange(peer.queue, {});
  const bool has_batch = std::exchange(peer.queue_has_batch, false);
  auto* link = links_.Find(node);
  if (link == nullptr) return;  // The replica sends again when the link is back.
  if (has_batch) peer.in_flight = peer.next_number++;
  SendFrame(*link, queue, has_batch ? peer.in_flight : 0, 0);
}

void Worker::SendFrame(Link& link, std::vector<ReplicaMessage>& messages, uint64_t number,
                       uint64_t acknowledges) {
  // The last of several frames carries the number, so its answer covers all.
  for (size_t begin = 0; begin < messages.size() || begin == 0;) {
    size_t end = begin, bytes = 0;
    while (end < messages.size()) {
      bytes += BytesOf(messages[end]);
      if (end > begin && bytes > kReplicaFrameBytes) break;
      ++end;
    }
    const bool last = end == messages.size();
    capnp::MallocMessageBuilder message;
    auto frame = message.initRoot<wire::ReplicaFrame>();
    frame.setNumber(last ? number : 0);
    frame.setAcknowledges(last ? acknowledges : 0);
    auto list = frame.initMessages(static_cast<unsigned>(end - begin));
    for (size_t i = begin; i < end; ++i) {
      Encode(messages[i], host_.clock().Now(), list[static_cast<unsigned>(i - begin)]);
    }
    link.stream().Send(wire::KIND_REPLICA, message);
    if (last) return;
    begin = end;
  }
}

// Replies, if wanted, gather in `replies`; the rest goes to whom it is for.
void Worker::HandleMessages(Frame& frame, CopyId from, std::vector<ReplicaMessage>* replies) {
  replies_ = replies;
  replying_to_ = replies == nullptr ? 0 : from;
  KJ_DEFER(replies_ = nullptr; replying_to_ = 0);  // Also when what came is malformed.
  for (auto encoded : frame.header<wire::ReplicaFrame>().getMessages()) {
    auto message = DecodeReplicaMessage(encoded, host_.clock().Now());
    if (!message.ok()) {
      host_.log().Warning("replica message dropped",
                          {{"from", from}, {"error", message.status().ToString()}});
      continue;
    }
    if (auto* host = HostOf(message->shard)) host->OnMessage(from, *message);
  }
}

void Worker::OnReplicaFrame(Link& link, CopyId from, Frame& frame, bool answer) {
  auto in = frame.header<wire::ReplicaFrame>();
  std::vector<ReplicaMessage> replies;
  HandleMessages(frame, from, answer ? &replies : nullptr);
  if (answer) {
    if (!replies.empty() || in.getNumber() != 0) SendFrame(link, replies, 0, in.getNumber());
    return;
  }
  for (auto& [node, peer] : peers_) {
    if (peer.copy != from || in.getAcknowledges() == 0) continue;
    if (peer.in_flight == in.getAcknowledges()) {
      peer.in_flight = 0;
      if (!unsent_.empty()) Touch(*unsent_.begin());
    }
  }
}

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

// What goes wrong in one shard must not stop the time of all.
void Worker::Tick() {
  const absl::Time now = host_.clock().Now();
  const absl::Duration gap = now - last_tick_ - kTick;
  if (gap > kStall) stalled_ += gap;
  last_tick_ = now;
  const bool check = ++ticks_ % kTicksPerDeadlineCheck == 0;
  if (!unneeded_.empty()) DropUnneeded(now);
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

void Worker::DropUnneeded(absl::Time now) {
  for (auto it = unneeded_.begin(); it != unneeded_.end();) {
    if (now < it->second + kUnneededCopyStays) {
      ++it;
      continue;
    }
    // A confirmation that it asked for must not come to a later copy, which counts anew.
    confirmations_.erase(it->first);
    dropped_while_confirming_.insert(it->first);
    hosts_[it->first] = nullptr;
    it = unneeded_.erase(it);
  }
}

WorkerStatus Worker::status() const {
  WorkerStatus out;
  out.answered = answered_;
  for (const auto& host : hosts_) {
    if (!host) continue;
    out.activations += host->activation_count();
    out.stored_actors += host->replica().store().size();
  }
  return out;
}

}  // namespace troupe
