#include "troupe/membership/control_links.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr size_t kAcceptedMax = 4096;  // Links; one from each of the largest cluster's nodes.
constexpr size_t kCallsMax = 16384;    // Waiting for answers; each has a limit of seconds.

bool IsNumberedAnswer(uint16_t kind) {
  return kind == control::KIND_PUSH_PULL_ANSWER || kind == control::KIND_LINK_PROBE_ANSWER ||
         kind == control::KIND_MAP_ANSWER || kind == control::KIND_FOUNDING_ANSWER ||
         kind == control::KIND_SURVEY_ANSWER;
}

}  // namespace

ControlLinks::ControlLinks(Self& self, Watcher& watcher)
    : self_(self),
      watcher_(watcher),
      pool_(std::make_unique<LinkPool>(
          self.host, Lane::kControl, 0, [&self] { return self.Introduce(); },
          static_cast<LinkPool::Watcher&>(*this))) {}

ControlLinks::~ControlLinks() noexcept(false) = default;

void ControlLinks::Close() {
  for (const auto& node : pool_->wanted()) Forget(node);
  accepted_.clear();
}

// ---- Links that others dialed.

void ControlLinks::Accept(kj::Own<Link> link) {
  if (accepted_.size() >= kAcceptedMax) {
    self_.log().Warning("control link refused: too many", {{"links", accepted_.size()}});
    return;
  }
  // A newer process of a name voids what the older one had (P1.6).
  const Introduction& peer = link->peer();
  for (auto it = accepted_.begin(); it != accepted_.end();) {
    const auto at = it++;
    const Introduction& other = at->second->peer();
    if (other.node != peer.node || other.nonce == peer.nonce || other.boot >= peer.boot) continue;
    const LinkNumber number = at->first;
    accepted_.erase(at);
    watcher_.OnAskerGone(number);
  }
  Link& started = *link;
  accepted_[++last_link_] = kj::mv(link);
  started.Start(*this);
  watcher_.OnPeer(started.peer());
}

void ControlLinks::VoidReplaced(const ClusterState& before, const ClusterState& map) {
  for (auto it = accepted_.begin(); it != accepted_.end();) {
    const auto at = it++;
    const Introduction& peer = at->second->peer();
    const NodeEntry* node = map.FindNode(peer.node);
    if (node == nullptr || node->nonce == peer.nonce) continue;
    const NodeEntry* old = before.FindNode(peer.node);
    const bool was = old != nullptr && old->nonce == peer.nonce;
    if (!was && (peer.boot == 0 || peer.boot >= node->boot)) continue;
    const LinkNumber number = at->first;
    Retire(kj::mv(at->second));
    accepted_.erase(at);
    watcher_.OnAskerGone(number);
  }
}

// A map may have come over the very link that it ends.
void ControlLinks::Retire(kj::Own<Link> link) {
  retired_.push_back(kj::mv(link));
  sweep_ = kj::evalLater([this] { retired_.clear(); }).eagerlyEvaluate(nullptr);
}

LinkNumber ControlLinks::NumberOf(const Link& link) const {
  for (const auto& [number, accepted] : accepted_) {
    if (accepted.get() == &link) return number;
  }
  return 0;
}

void ControlLinks::OnFrame(Link& link, kj::Own<Frame> frame) {
  const LinkNumber number = NumberOf(link);
  if (number == 0) return;
  watcher_.OnTraffic(link.peer());
  watcher_.OnRequest(number, link.peer(), *frame);
}

void ControlLinks::OnEnd(Link& link, LinkEnd end, std::string detail) {
  const LinkNumber number = NumberOf(link);
  if (number == 0) return;
  if (end == LinkEnd::kMalformed) {
    self_.log().Warning("control link ended", {{"peer", link.peer().node}, {"reason", detail}});
  }
  const Introduction peer = link.peer();
  accepted_.erase(number);
  watcher_.OnAskerGone(number);
  watcher_.OnLost(peer, end);
}

void ControlLinks::Answer(LinkNumber to, uint16_t kind, capnp::MessageBuilder& header) {
  auto it = accepted_.find(to);
  if (it != accepted_.end()) it->second->Send(kind, header);
}

// ---- Links that we dialed.

void ControlLinks::Want(const std::string& node, const std::string& address, Boot boot) {
  pool_->Want(node, address, boot);
  if (pool_->Find(node) == nullptr) Replaced(node);
}

void ControlLinks::Forget(const std::string& node) {
  pool_->Forget(node);
  Replaced(node);
}

// We let go of the link ourselves: nobody is lost.
void ControlLinks::Replaced(const std::string& node) {
  if (dialed_.erase(node) != 0) EndCallsTo(node);
}

const Introduction* ControlLinks::PeerOf(const std::string& node) {
  auto it = dialed_.find(node);
  return it == dialed_.end() ? nullptr : &it->second;
}

bool ControlLinks::HasLinkOf(const std::string& node, const Id128& nonce) {
  const Introduction* dialed = PeerOf(node);
  if (dialed != nullptr && dialed->nonce == nonce) return true;
  for (const auto& [number, link] : accepted_) {
    if (link->peer().node == node && link->peer().nonce == nonce) return true;
  }
  return false;
}

bool ControlLinks::Send(const std::string& node, uint16_t kind, capnp::MessageBuilder& header) {
  Link* link = pool_->Find(node);
  if (link == nullptr) return false;
  link->Send(kind, header);
  return true;
}

void ControlLinks::OnLinkUp(const std::string& node, Link& link) {
  dialed_[node] = link.peer();
  watcher_.OnPeer(link.peer());
  watcher_.OnDialedUp(node);
}

void ControlLinks::OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) {
  const Introduction peer = link.peer();
  watcher_.OnTraffic(peer);
  if (!IsNumberedAnswer(frame->kind())) return watcher_.OnAnswer(node, peer, *frame);
  auto it = calls_.find(frame->header<control::Numbered>().getNumber());
  if (it == calls_.end() || it->second.node != node) return;  // Its limit has passed.
  auto fulfiller = kj::mv(it->second.fulfiller);
  calls_.erase(it);
  fulfiller->fulfill(kj::mv(frame));
}

void ControlLinks::OnLinkDown(const std::string& node, const LinkLoss& loss) {
  EndCallsTo(node);
  if (loss.replaced) {
    dialed_.erase(node);
    return;
  }
  auto it = dialed_.find(node);
  if (it == dialed_.end()) return watcher_.OnDialFailed(node, loss);
  const Introduction peer = std::move(it->second);
  dialed_.erase(it);
  watcher_.OnLost(peer, loss.end);
}

void ControlLinks::EndCallsTo(const std::string& node) {
  for (auto it = calls_.begin(); it != calls_.end();) {
    auto at = it++;
    if (at->second.node != node) continue;
    auto fulfiller = kj::mv(at->second.fulfiller);
    calls_.erase(at);
    fulfiller->reject(Disconnected(absl::StrCat("the control link to ", node, " broke")));
  }
}

kj::Promise<kj::Own<Frame>> ControlLinks::Call(const std::string& node, uint16_t kind,
                                               uint64_t number, capnp::MessageBuilder& header,
                                               absl::Duration limit) {
  if (calls_.size() >= kCallsMax) return Overloaded("too many control calls under way");
  if (!Send(node, kind, header)) {
    return Disconnected(absl::StrCat("there is no control link to ", node));
  }
  auto paf = kj::newPromiseAndFulfiller<kj::Own<Frame>>();
  calls_[number] = {node, kj::mv(paf.fulfiller)};
  auto late = self_.host.timer()
                  .afterDelay(KjWait(limit))
                  .then([node, limit]() -> kj::Promise<kj::Own<Frame>> {
                    return Overloaded(
                        absl::StrCat(node, " did not answer within ", absl::FormatDuration(limit)));
                  });
  return paf.promise.exclusiveJoin(kj::mv(late)).attach(kj::defer([this, number] {
    calls_.erase(number);
  }));
}

// ---- One call to an address.

class ControlLinks::OneCall final : private Link::Receiver {
 public:
  OneCall(kj::PromiseFulfiller<kj::Own<Frame>>& fulfiller, kj::Own<Link> link, uint16_t kind,
          capnp::MessageBuilder& header)
      : fulfiller_(fulfiller), link_(kj::mv(link)) {
    link_->Send(kind, header);
    link_->Start(*this);
  }

 private:
  void OnFrame(Link&, kj::Own<Frame> frame) override {
    if (IsNumberedAnswer(frame->kind())) fulfiller_.fulfill(kj::mv(frame));
  }
  void OnEnd(Link& link, LinkEnd, std::string detail) override {
    fulfiller_.reject(
        Disconnected(absl::StrCat("node ", link.peer().node, " ended the link: ", detail)));
  }

  kj::PromiseFulfiller<kj::Own<Frame>>& fulfiller_;
  kj::Own<Link> link_;
};

kj::Promise<ControlLinks::Visit> ControlLinks::CallAddress(
    const std::string& address, uint16_t kind, kj::Own<capnp::MallocMessageBuilder> header,
    absl::Duration limit) {
  return CallAddress(address, kind, kj::mv(header), limit, self_.Introduce());
}

kj::Promise<ControlLinks::Visit> ControlLinks::CallAddress(
    const std::string& address, uint16_t kind, kj::Own<capnp::MallocMessageBuilder> header,
    absl::Duration limit, Introduction as) {
  auto call = [kind, header = kj::mv(header)](DialedLink&& dialed) mutable -> kj::Promise<Visit> {
    Visit visit;
    visit.dialed.outcome = dialed.outcome;
    visit.dialed.refused = dialed.refused;
    visit.problem = dialed.detail;
    if (dialed.link.get() == nullptr) return kj::mv(visit);
    visit.peer = dialed.link->peer();
    return kj::newAdaptedPromise<kj::Own<Frame>, OneCall>(kj::mv(dialed.link), kind, *header)
        .attach(kj::mv(header))
        .then([visit = kj::mv(visit)](kj::Own<Frame> answer) mutable {
          visit.answer = kj::mv(answer);
          return kj::mv(visit);
        });
  };
  auto late = self_.host.timer().afterDelay(KjWait(limit)).then([address, limit] {
    Visit visit;
    visit.dialed.outcome = DialOutcome::kTimedOut;
    visit.problem =
        absl::StrCat("no answer from ", address, " within ", absl::FormatDuration(limit));
    return visit;
  });
  return DialLink(self_.host, address, Lane::kControl, 0, std::move(as), limit)
      .then(kj::mv(call))
      .catch_([](kj::Exception&& e) {
        Visit visit;
        visit.dialed.outcome = DialOutcome::kConnected;
        visit.problem = Words(e);
        return visit;
      })
      .exclusiveJoin(kj::mv(late));
}

}  // namespace troupe
