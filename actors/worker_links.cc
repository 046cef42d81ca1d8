// Worker, part two: its links, and the connections of clients.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/gateway.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/actors/shard_of.h"
#include "troupe/actors/worker.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/rpc/status.h"

namespace troupe {

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
  unread_bytes_ -= session->second.unread;
  session_of_.erase(link.get());
  observer_links_.Close(session->first);
  Retire(kj::mv(link));
  sessions_.erase(session);
}

// Calls that have been taken are answered, read or not; what is retried later has its record.
void Worker::EndIfUnread(uint64_t id, Session& session) {
  if (session.ending || session.link->peer().role != Role::kClient) return;
  unread_bytes_ -= session.unread;
  session.unread = session.link->stream().backlog();
  unread_bytes_ += session.unread;
  if (session.unread > options_.limits.session_unread_bytes) {
    EndUnread(id, session);
  } else if (unread_bytes_ > options_.limits.unread_bytes) {
    EndMostUnread();
  }
}

// Looks at all anew: what was read since they were last answered counts no more.
void Worker::EndMostUnread() {
  unread_bytes_ = 0;
  auto most = sessions_.begin();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    auto& session = it->second;
    if (session.ending || session.link->peer().role != Role::kClient) continue;
    session.unread = session.link->stream().backlog();
    unread_bytes_ += session.unread;
    if (session.unread > most->second.unread) most = it;
  }
  if (unread_bytes_ > options_.limits.unread_bytes) EndUnread(most->first, most->second);
}

void Worker::EndUnread(uint64_t id, Session& session) {
  host_.log().Warning("link ended: its client does not read its answers",
                      {{"peer", session.link->peer().node}, {"bytes", session.unread}});
  session.ending = true;
  unread_bytes_ -= std::exchange(session.unread, 0);
  tasks_.add(kj::evalLater([this, id] {
    if (auto it = sessions_.find(id); it != sessions_.end()) Close(it);
  }));
}

void Worker::OnOtherStream(kj::Own<DetachedStream> stream, std::string first_bytes) {
  const size_t limit = options_.limits.gateway_connections;
  if (gateways_ >= limit + options_.limits.hellos) return;  // Not even to be told so.
  auto attached = PrefixedStream(std::move(first_bytes), host_.network().Attach(kj::mv(stream)));
  auto served =
      gateways_ < limit
          ? ServeGateway(kj::mv(attached), origin(), [this] { return map_; })
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
    case wire::KIND_OBSERVE:
      if (link.peer().role == Role::kClient) {
        const auto secret = frame->header<wire::ObserveFrame>().getSecret();
        observer_links_.Claim(id, link, {secret.getHi(), secret.getLo()});
      }
      return;
    case wire::KIND_ANSWER:
      return observer_links_.OnAnswer(id, kj::mv(frame));
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

// ---- Observers

// Of an actor, the worker that has its shard; of an observer, the one that its client's link is at.
size_t Worker::OwnerOf(const ActorId& actor) const {
  if (auto observer = ObserverKey::Decode(actor.key)) return observer->worker % options_.count;
  if (auto pooled = NumberOfPoolKey(actor.key)) return *pooled % options_.count;
  return ShardOf(actor, *map_) % options_.count;
}

void Worker::CallPool(kj::Own<InboundCall> call) {
  const auto& actor = call->header().actor;
  if (!NumberOfPoolKey(actor.key)) {
    return call->Finish(Failed(
        absl::StrCat("the key of ", NameOf(actor), " begins as those of pools do, but is none")));
  }
  if (admission_ == Admission::kTakesNone) {
    return SendBack(*call, absl::StrCat("node ", introduction_.node, " takes no more calls"));
  }
  if (registry_.Find(actor.type) == nullptr) {
    return call->Finish(Unimplemented(WhyNotHosted(actor)));
  }
  pool_.Deliver(kj::mv(call));
}

void Worker::CallObserver(kj::Own<InboundCall> call) {
  const auto key = ObserverKey::Decode(call->header().actor.key);
  if (!key) {
    return call->Finish(Failed(absl::StrCat("the key of ", NameOf(call->header().actor),
                                            " begins as those of observers do, but is none")));
  }
  const auto session = observer_links_.Call(kj::mv(call), *key);
  if (session) EndIfUnread(*session, sessions_.at(*session));
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

}  // namespace troupe
