#include "troupe/membership/map_spread.h"

#include <algorithm>
#include <utility>

#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kMoment = absl::Milliseconds(20);  // News are a round trip away.
constexpr absl::Duration kAgain = absl::Milliseconds(100);  // After a pull that came to nothing.
constexpr absl::Duration kPullLimit = absl::Seconds(2);

std::span<const std::byte> AsStd(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

}  // namespace

MapSpread::MapSpread(Self& self, ControlLinks& links, MapStore& maps, Owner& owner)
    : self_(self),
      links_(links),
      maps_(maps),
      owner_(owner),
      alarm_(self.host, [this] { Pull(); }),
      tasks_(*this) {}

void MapSpread::taskFailed(kj::Exception&& exception) {
  self_.log().Error("spreading the map failed", {{"error", Words(exception)}});
}

void MapSpread::TellAll() {
  const auto news = maps_.NewsFor(maps_.former_version());
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::MapNews>();
  out.setVersion(news.version);
  out.setBase(news.base);
  out.setBytes(codec::AsKj(news.bytes));
  for (const std::string& node : links_.wanted()) {
    (void)links_.Send(node, control::KIND_MAP_NEWS, message);
  }
}

void MapSpread::TellWhole(const std::string& node) {
  const auto news = maps_.NewsFor(0);
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::MapNews>();
  out.setVersion(news.version);
  out.setBase(news.base);
  out.setBytes(codec::AsKj(news.bytes));
  (void)links_.Send(node, control::KIND_MAP_NEWS, message);
}

void MapSpread::OnNews(const Introduction& peer, Frame& frame) {
  auto in = frame.header<control::MapNews>();
  if (in.getVersion() <= maps_.version()) return;
  if (in.getBase() != 0 && in.getBase() != maps_.version()) {
    return Heard(peer.node, in.getVersion(), Patience::kAtOnce);
  }
  owner_.TakeNews(in.getBase(), AsStd(in.getBytes()));
}

void MapSpread::Heard(const std::string& node, uint64_t version, Patience patience) {
  if (version <= maps_.version() || node == self_.name()) return;
  auto& known = newer_[node];
  known = std::max(known, version);
  const absl::Duration wait = patience == Patience::kAtOnce ? absl::ZeroDuration() : kMoment;
  if (!pulling_) alarm_.SetNoLaterThan(self_.Now() + wait);
}

void MapSpread::OnDialedUp(const std::string& node) {
  if (const Introduction* peer = links_.PeerOf(node)) {
    Heard(node, peer->map_version, Patience::kAMoment);
    // Its own links to us are refused, so it cannot ask.
    if (peer->generation != 0 && peer->generation < self_.generation) TellWhole(node);
  }
}

void MapSpread::OnNewMap() {
  std::erase_if(newer_, [this](const auto& entry) { return entry.second <= maps_.version(); });
}

void MapSpread::Pull() {
  if (pulling_) return;
  // The newest that a link leads to; who has none is asked once it has.
  const std::string* from = nullptr;
  uint64_t best = 0;
  for (const auto& [node, version] : newer_) {
    if (links_.PeerOf(node) == nullptr || version <= best) continue;
    best = version;
    from = &node;
  }
  if (from == nullptr) return;
  pulling_ = true;
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::MapPull>();
  const uint64_t number = links_.NextNumber();
  out.setNumber(number);
  out.setHave(maps_.version());
  tasks_.add(links_.Call(*from, control::KIND_MAP_PULL, number, message, kPullLimit)
                 .then([this](kj::Own<Frame> answer) {
                   auto in = answer->header<control::MapAnswer>();
                   if (in.getVersion() <= maps_.version() || in.getBytes().size() == 0) return;
                   // Another map may have come meanwhile; what is newer still is pulled again.
                   if (in.getBase() != 0 && in.getBase() != maps_.version()) return;
                   owner_.TakeNews(in.getBase(), AsStd(in.getBytes()));
                 })
                 .catch_([this](kj::Exception&& e) {
                   self_.log().Debug("map not pulled", {{"reason", Words(e)}});
                 })
                 .then([this, node = *from, version = best, had = maps_.version()] {
                   pulling_ = false;
                   auto at = newer_.find(node);
                   const bool moved = maps_.version() != had;
                   if (at != newer_.end() && !moved && at->second <= version) newer_.erase(at);
                   if (!newer_.empty()) alarm_.SetNoLaterThan(self_.Now() + kAgain);
                 }));
}

void MapSpread::OnPull(LinkNumber from, Frame& frame) {
  auto in = frame.header<control::MapPull>();
  const auto news = maps_.NewsFor(in.getHave());
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::MapAnswer>();
  out.setNumber(in.getNumber());
  out.setVersion(news.version);
  out.setBase(news.base);
  out.setBytes(codec::AsKj(news.bytes));
  links_.Answer(from, control::KIND_MAP_ANSWER, message);
}

}  // namespace troupe
