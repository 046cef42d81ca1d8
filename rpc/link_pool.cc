#include "troupe/rpc/link_pool.h"

#include <algorithm>

#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(10);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);
constexpr absl::Duration kDialLimit = absl::Seconds(1);

}  // namespace

LinkPool::LinkPool(Host& host, Lane lane, uint16_t worker, kj::Function<Introduction()> introduce,
                   Watcher& watcher)
    : host_(host), lane_(lane), worker_(worker), introduce_(kj::mv(introduce)), watcher_(watcher) {}

LinkPool::~LinkPool() noexcept(false) = default;

void LinkPool::Want(const std::string& node, const std::string& address, Boot boot) {
  auto& peer = peers_[node];
  if (peer && peer->address == address && (boot == 0 || peer->boot == boot)) return;
  const bool learned_boot = peer && peer->address == address && peer->boot == 0;
  if (!peer) peer = std::make_unique<Peer>();
  if (learned_boot) {  // The same peer has registered meanwhile; its link is as good as before.
    peer->boot = boot;
    return;
  }
  const bool was_up = peer->link.get() != nullptr;
  Retire(*peer);
  peer->address = address;
  peer->target = node == address ? "" : node;
  peer->boot = boot;
  peer->backoff = absl::ZeroDuration();
  DialAfter(node, absl::ZeroDuration());
  if (!was_up) return;
  // What was asked on the old link is not answered any more.
  LinkLoss loss;
  loss.was_up = true;
  loss.replaced = true;
  loss.detail = "replaced by a newer run of the node";
  watcher_.OnLinkDown(node, loss);
}

void LinkPool::Forget(const std::string& node) {
  auto it = peers_.find(node);
  if (it == peers_.end()) return;
  Retire(*it->second);
  peers_.erase(it);
}

void LinkPool::Retire(Peer& peer) {
  if (peer.link.get() != nullptr) retired_links_.add(kj::mv(peer.link));
  retired_tasks_.add(kj::mv(peer.task));
  peer.task = nullptr;
  ScheduleSweep();
}

void LinkPool::ScheduleSweep() {
  if (sweeping_) return;
  sweeping_ = true;
  sweep_ = kj::evalLater([this] {
             sweeping_ = false;
             retired_links_.clear();
             retired_tasks_.clear();
           }).eagerlyEvaluate(nullptr);
}

void LinkPool::Hurry(const std::string& node) {
  auto it = peers_.find(node);
  if (it == peers_.end() || it->second->link.get() != nullptr) return;
  if (it->second->backoff > absl::ZeroDuration()) {
    it->second->backoff = absl::ZeroDuration();
    DialAfter(node, absl::ZeroDuration());
  }
}

std::vector<std::string> LinkPool::wanted() const {
  std::vector<std::string> out;
  for (const auto& [node, peer] : peers_) out.push_back(node);
  return out;
}

Link* LinkPool::Find(std::string_view node) {
  auto it = peers_.find(node);
  return it == peers_.end() ? nullptr : it->second->link.get();
}

void LinkPool::DialAfter(const std::string& node, absl::Duration wait) {
  auto& peer = *peers_.at(node);
  auto begin = wait > absl::ZeroDuration()
                   ? host_.timer().afterDelay(absl::ToInt64Microseconds(wait) * kj::MICROSECONDS)
                   : kj::evalLater([] {});
  retired_tasks_.add(kj::mv(peer.task));
  ScheduleSweep();
  peer.task =
      begin
          .then([this, node] {
            auto& peer = *peers_.at(node);
            auto ours = introduce_();
            ours.target = peer.target;
            return DialLink(host_, peer.address, lane_, worker_, std::move(ours), kDialLimit);
          })
          .then([this, node](DialedLink&& dialed) { Dialed(node, kj::mv(dialed)); })
          .eagerlyEvaluate([this](kj::Exception&& e) {
            host_.log().Error("dialing failed", {{"error", Words(e)}});
          });
}

void LinkPool::Dialed(const std::string& node, DialedLink&& dialed) {
  auto& peer = *peers_.at(node);
  if (dialed.link.get() == nullptr) {
    LinkLoss loss;
    loss.dial = dialed.outcome;
    loss.refused = dialed.refused;
    loss.detail = std::move(dialed.detail);
    Lost(node, std::move(loss));
    return;
  }
  peer.backoff = absl::ZeroDuration();
  peer.link = kj::mv(dialed.link);
  auto& link = *peer.link;
  link.Start(*this);
  watcher_.OnLinkUp(node, link);
}

void LinkPool::Lost(const std::string& node, LinkLoss loss) {
  auto& peer = *peers_.at(node);
  peer.backoff = std::clamp(peer.backoff * 2, kBackoffMin, kBackoffMax);
  DialAfter(node, peer.backoff);
  watcher_.OnLinkDown(node, loss);  // May forget the node.
}

const std::string* LinkPool::KeyOf(const Link& link) const {
  for (const auto& [node, peer] : peers_) {
    if (peer->link.get() == &link) return &node;
  }
  return nullptr;
}

void LinkPool::OnFrame(Link& link, kj::Own<Frame> frame) {
  if (const auto* node = KeyOf(link)) {
    const std::string key = *node;  // The watcher may forget it.
    watcher_.OnLinkFrame(key, link, kj::mv(frame));
  }
}

void LinkPool::OnEnd(Link& link, LinkEnd end, std::string detail) {
  const auto* node = KeyOf(link);
  if (node == nullptr) return;  // Replaced or forgotten meanwhile.
  const std::string key = *node;
  retired_links_.add(kj::mv(peers_.at(key)->link));
  ScheduleSweep();
  LinkLoss loss;
  loss.was_up = true;
  loss.end = end;
  loss.detail = std::move(detail);
  Lost(key, std::move(loss));
}

}  // namespace troupe
