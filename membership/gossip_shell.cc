#include "troupe/membership/gossip_shell.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kSayDropped = absl::Minutes(1);

kj::ArrayPtr<const kj::byte> AsKj(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}
std::span<const std::byte> AsStd(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

}  // namespace

GossipShell::GossipShell(Self& self, ControlLinks& links, Owner& owner)
    : self_(self),
      links_(links),
      owner_(owner),
      alarm_(self.host,
             [this] {
               Tell([](Swim& swim, absl::Time now, SwimActions& actions) {
                 swim.OnTimer(now, actions);
               });
             }),
      tasks_(*this) {}

void GossipShell::taskFailed(kj::Exception&& exception) {
  self_.log().Error("gossip task failed", {{"error", Words(exception)}});
}

absl::Status GossipShell::Start(const std::string& bind, std::string metadata) {
  SwimSelf self;
  self.name = self_.name();
  self.nonce = self_.nonce;
  self.rpc_address = self_.address;
  self.gossip_address = self_.address;
  self.metadata = std::move(metadata);
  self.cluster = self_.cluster;
  if (auto status = Swim::Check(self_.options.swim, self); !status.ok()) return status;
  // Ids come from the operating system, so no two runs have one salt.
  seal_ = std::make_unique<GossipSeal>(self_.options.cluster_name, self_.host.RandomId(),
                                       self_.options.gossip_secrecy);
  seal_->SetKeys(self_.options.gossip_keys);
  auto socket = self_.host.network().Bind(bind);
  if (!socket.ok()) return socket.status();
  socket_ = kj::mv(*socket);
  swim_ = std::make_unique<Swim>(self_.options.swim, std::move(self),
                                 self_.host.random().Fork("swim"), self_.Now());
  alarm_.Set(swim_->NextDeadline());
  tasks_.add(Receive());
  return absl::OkStatus();
}

kj::Promise<void> GossipShell::Receive() {
  return socket_->Receive().then([this](DatagramEvent&& event) {
    const Datagram& datagram = event.datagram;
    Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
      if (event.kind == DatagramEvent::Kind::kRefused) {
        swim.OnDatagramRefused(now, datagram.from, actions);
      } else if (auto plain = Open(GossipSeal::Carrier::kDatagram, datagram.from, datagram.bytes)) {
        swim.OnDatagram(now, datagram.from, *plain, actions);
      }
    });
    return Receive();
  });
}

void GossipShell::Tell(const Event& event) {
  SwimActions actions;
  event(*swim_, self_.Now(), actions);
  Perform(std::move(actions));
}

absl::Status GossipShell::SetKeys(GossipKeys keys) {
  if (keys.empty() != seal_->keys().empty()) {
    return absl::FailedPreconditionError(
        "a node that runs changes its gossip keys, not whether it has any");
  }
  seal_->SetKeys(std::move(keys));
  self_.log().Info("gossip keys", {{"ids", absl::StrJoin(seal_->keys().Ids(), ",")}});
  return absl::OkStatus();
}

std::optional<std::vector<std::byte>> GossipShell::Open(GossipSeal::Carrier carrier,
                                                        std::string_view from,
                                                        std::span<const std::byte> bytes) {
  auto plain = seal_->Open(carrier, bytes);
  if (plain.ok()) return std::move(*plain);
  const absl::Time now = self_.Now();
  if (now >= say_dropped_) {
    say_dropped_ = now + kSayDropped;
    self_.log().Warning("gossip dropped", {{"from", from},
                                           {"reason", std::string(plain.status().message())},
                                           {"dropped", seal_->counters().dropped()}});
  }
  return std::nullopt;
}

void GossipShell::Perform(SwimActions actions) {
  // Failed sends may ask for more, but not without end: each is one probe that ends.
  for (size_t i = 0; i < actions.datagrams.size(); ++i) {
    const auto datagram = std::move(actions.datagrams[i]);
    const auto sealed = seal_->Seal(GossipSeal::Carrier::kDatagram, datagram.bytes);
    const SendOutcome outcome = socket_->Send(datagram.to, sealed);
    if (outcome == SendOutcome::kSent) continue;
    swim_->OnSendFailed(self_.Now(), datagram.to,
                        outcome == SendOutcome::kUnreachable ? Swim::SendFailure::kUnreachable
                                                             : Swim::SendFailure::kLocal,
                        actions);
  }
  for (const auto& wanted : actions.push_pulls) PushPullWith(wanted);
  for (const auto& ping : actions.link_pings) PingOverLink(ping);
  alarm_.Set(swim_->NextDeadline());
  for (const SwimNotice& notice : actions.notices) owner_.OnNotice(notice);
}

// ---- Exchanges

void GossipShell::PushPullWith(const SwimActions::StartPushPull& wanted) {
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  const uint64_t number = links_.NextNumber();
  auto out = message->initRoot<control::Exchange>();
  out.setNumber(number);
  out.setView(
      AsKj(seal_->Seal(GossipSeal::Carrier::kExchange, swim_->MakePushPull(wanted.exchange))));
  const absl::Duration limit = self_.options.swim.push_pull_timeout;
  const uint64_t exchange = wanted.exchange;
  auto failed = [this, exchange] {
    Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
      swim.OnPushPullFailed(now, exchange, actions);
    });
  };
  if (!wanted.name.empty() && links_.PeerOf(wanted.name) != nullptr) {
    tasks_.add(
        links_.Call(wanted.name, control::KIND_PUSH_PULL, number, *message, limit)
            .then([this, exchange](kj::Own<Frame> answer) { Merge(exchange, kj::mv(answer)); })
            .catch_([failed](kj::Exception&&) { failed(); }));
    return;
  }
  auto done = [this, exchange, failed, address = wanted.address](ControlLinks::Visit&& visit) {
    if (visit.answer.get() != nullptr) return Merge(exchange, kj::mv(visit.answer));
    owner_.OnSeedProblem(address, visit);
    failed();
  };
  tasks_.add(links_.CallAddress(wanted.address, control::KIND_PUSH_PULL, kj::mv(message), limit)
                 .then(kj::mv(done)));
}

void GossipShell::Merge(uint64_t exchange, kj::Own<Frame> answer) {
  absl::Status merged = absl::UnavailableError("refused");
  auto reader = answer->header<control::ExchangeAnswer>();
  auto view = reader.getView().size() == 0
                  ? std::nullopt
                  : Open(GossipSeal::Carrier::kExchange, "an exchange", AsStd(reader.getView()));
  Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
    if (!view) return swim.OnPushPullFailed(now, exchange, actions);
    merged = swim.MergePushPull(now, exchange, *view, actions);
  });
  if (!merged.ok()) {
    self_.log().Debug("exchange failed", {{"reason", merged.ToString()},
                                          {"refused", std::string(reader.getRefused().cStr())}});
  }
}

void GossipShell::OnPushPull(LinkNumber from, const Introduction& peer, Frame& frame) {
  auto request = frame.header<control::Exchange>();
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::ExchangeAnswer>();
  out.setNumber(request.getNumber());
  const auto carrier = GossipSeal::Carrier::kExchange;
  auto view = Open(carrier, peer.address, AsStd(request.getView()));
  if (!view) {
    out.setRefused("the gossip keys of the two nodes do not go together");
    return links_.Answer(from, control::KIND_PUSH_PULL_ANSWER, message);
  }
  Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
    auto answer = swim.AnswerPushPull(now, peer.address, *view, actions);
    if (answer.ok()) {
      out.setView(AsKj(seal_->Seal(carrier, *answer)));
    } else {
      out.setRefused(std::string(answer.status().message()).c_str());
    }
  });
  links_.Answer(from, control::KIND_PUSH_PULL_ANSWER, message);
}

// ---- Pings over links

void GossipShell::PingOverLink(const SwimActions::StartLinkPing& ping) {
  capnp::MallocMessageBuilder message;
  const uint64_t number = links_.NextNumber();
  message.initRoot<control::LinkProbe>().setNumber(number);
  const uint64_t probe = ping.probe;
  const Id128 meant = ping.member.id.nonce;
  auto tell = [this, probe](Swim::LinkPing outcome) {
    Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
      swim.OnLinkPing(now, probe, outcome, actions);
    });
  };
  tasks_.add(links_.Call(ping.member.id.name, control::KIND_LINK_PROBE, number, message, ping.limit)
                 .then([meant](kj::Own<Frame> answer) {
                   const Id128 nonce =
                       codec::ReadId(answer->header<control::LinkProbeAnswer>().getNonce());
                   return nonce == meant ? Swim::LinkPing::kAnswered : Swim::LinkPing::kFailed;
                 })
                 .catch_([](kj::Exception&&) { return Swim::LinkPing::kFailed; })
                 .then(kj::mv(tell)));
}

}  // namespace troupe
