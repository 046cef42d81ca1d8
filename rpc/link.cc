#include "troupe/rpc/link.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

constexpr char kMagic[8] = {'T', 'R', 'O', 'U', 'P', 'E', '\r', '\n'};
constexpr size_t kPreambleBytes = 16;

kj::StringPtr Ptr(const std::string& s) { return kj::StringPtr(s.c_str(), s.size()); }

std::string Text(capnp::Text::Reader text) { return std::string(text.begin(), text.size()); }

void EncodeId(const Id128& from, wire::Id128::Builder out) {
  out.setHi(from.hi);
  out.setLo(from.lo);
}

}  // namespace

void Encode(const Introduction& from, wire::Hello::Builder out) {
  out.setVersionMin(kProtocolVersionMin);
  out.setVersionMax(kProtocolVersion);
  out.setClusterName(Ptr(from.cluster_name));
  EncodeId(from.cluster, out.initCluster());
  out.setGeneration(from.generation);
  out.setRole(from.role == Role::kNode ? wire::Hello::Role::NODE : wire::Hello::Role::CLIENT);
  out.setNode(Ptr(from.node));
  EncodeId(from.nonce, out.initNonce());
  out.setBoot(from.boot);
  out.setAddress(Ptr(from.address));
  out.setTarget(Ptr(from.target));
  out.setMapVersion(from.map_version);
  auto process = out.initProcess();
  process.setPid(from.process.pid);
  process.setStartTime(from.process.start_time);
  process.setPidNamespace(from.process.pid_namespace);
  process.setBootIdHash(from.process.boot_id_hash);
}

Introduction Decode(wire::Hello::Reader in) {
  Introduction out;
  out.cluster_name = Text(in.getClusterName());
  out.cluster = {in.getCluster().getHi(), in.getCluster().getLo()};
  out.generation = in.getGeneration();
  out.role = in.getRole() == wire::Hello::Role::NODE ? Role::kNode : Role::kClient;
  out.node = Text(in.getNode());
  out.nonce = {in.getNonce().getHi(), in.getNonce().getLo()};
  out.boot = in.getBoot();
  out.address = Text(in.getAddress());
  out.target = Text(in.getTarget());
  out.map_version = in.getMapVersion();
  auto process = in.getProcess();
  out.process = {process.getPid(), process.getStartTime(), process.getPidNamespace(),
                 process.getBootIdHash()};
  return out;
}

std::optional<RefusalReason> Judge(const Introduction& ours, const Introduction& theirs,
                                   uint16_t version_min, uint16_t version_max) {
  using Reason = wire::Refusal::Reason;
  if (version_max < kProtocolVersionMin || version_min > kProtocolVersion) {
    return RefusalReason{
        Reason::VERSION,
        absl::StrCat("node ", ours.node, " speaks protocol versions ", kProtocolVersionMin, " to ",
                     kProtocolVersion, ", ", theirs.node, " speaks ", version_min, " to ",
                     version_max, "; upgrade the older one")};
  }
  if (theirs.cluster_name != ours.cluster_name) {
    return RefusalReason{Reason::CLUSTER_NAME,
                         absl::StrCat("node ", ours.node, " is of cluster \"", ours.cluster_name,
                                      "\", ", theirs.node, " is of \"", theirs.cluster_name,
                                      "\"; check --cluster and --join")};
  }
  if (theirs.role == Role::kNode && theirs.nonce == ours.nonce) {
    return RefusalReason{Reason::OWN_ADDRESS,
                         absl::StrCat("node ", ours.node, " dialed its own address")};
  }
  if (!theirs.target.empty() && theirs.target != ours.node) {
    return RefusalReason{Reason::WRONG_TARGET,
                         absl::StrCat("this is node ", ours.node, ", not ", theirs.target)};
  }
  if (!theirs.cluster.IsZero() && !ours.cluster.IsZero() && theirs.cluster != ours.cluster) {
    return RefusalReason{
        Reason::CLUSTER_ID,
        absl::StrCat("node ", ours.node, " is in cluster ", ours.cluster.ToString(), ", ",
                     theirs.node, " is in ", theirs.cluster.ToString(),
                     "; one of them has the data directory or the seeds of another cluster")};
  }
  if (theirs.role == Role::kNode && theirs.generation != 0 && theirs.generation < ours.generation) {
    return RefusalReason{Reason::GENERATION,
                         absl::StrCat("the register is at generation ", ours.generation, ", ",
                                      theirs.node, " knows only ", theirs.generation)};
  }
  return std::nullopt;
}

Link::Link(std::unique_ptr<FrameStream> stream, Introduction peer) noexcept
    : stream_(std::move(stream)), peer_(std::move(peer)) {}

Link::~Link() noexcept(false) = default;

void Link::Start(Receiver& receiver) {
  receiver_ = &receiver;
  running_ = stream_->Run(*this)
                 .then([]() { return std::pair(LinkEnd::kClosed, std::string("closed")); },
                       [](kj::Exception&& e) {
                         const bool reset = e.getType() == kj::Exception::Type::DISCONNECTED;
                         return std::pair(reset ? LinkEnd::kReset : LinkEnd::kMalformed, Words(e));
                       })
                 .then([this](std::pair<LinkEnd, std::string>&& end) {
                   // The receiver may destroy us: let go of the promise that is running first.
                   auto running = kj::mv(running_);
                   running.detach([](kj::Exception&&) {});
                   receiver_->OnEnd(*this, end.first, std::move(end.second));
                 })
                 .eagerlyEvaluate([](kj::Exception&& e) { KJ_LOG(ERROR, "link receiver", e); });
}

void Link::OnFrame(kj::Own<Frame> frame) {
  KJ_REQUIRE(frame->kind() >= 16, "not a frame that may follow the hello", frame->kind());
  receiver_->OnFrame(*this, kj::mv(frame));
}

namespace {

void SendHello(FrameStream& stream, uint16_t kind, const Introduction& ours) {
  capnp::MallocMessageBuilder message;
  Encode(ours, message.initRoot<wire::Hello>());
  stream.Send(kind, message);
}

DialedLink FinishDial(std::unique_ptr<FrameStream> stream, kj::Own<Frame> answer) {
  if (answer->kind() == wire::KIND_WELCOME) {
    auto peer = Decode(answer->header<wire::Hello>());
    return {DialOutcome::kConnected, kj::heap<Link>(std::move(stream), std::move(peer)),
            std::nullopt, ""};
  }
  KJ_REQUIRE(answer->kind() == wire::KIND_REFUSAL, "neither welcome nor refusal", answer->kind());
  auto refusal = answer->header<wire::Refusal>();
  return {DialOutcome::kConnected, {}, refusal.getReason(), Text(refusal.getDetail())};
}

kj::Promise<DialedLink> SayHello(Host& host, kj::Own<kj::AsyncIoStream> raw, std::string address,
                                 Lane lane, uint16_t worker, Introduction ours) {
  auto stream = std::make_unique<FrameStream>(kj::mv(raw), host.clock());
  kj::byte preamble[kPreambleBytes] = {};
  std::memcpy(preamble, kMagic, sizeof kMagic);
  preamble[8] = static_cast<kj::byte>(lane);
  preamble[10] = static_cast<kj::byte>(worker & 0xff);
  preamble[11] = static_cast<kj::byte>(worker >> 8);
  stream->SendPreamble(preamble);
  SendHello(*stream, wire::KIND_HELLO, ours);
  auto answer = stream->ReadOne(kHelloBytesMax);
  return answer
      .then([stream = std::move(stream)](kj::Own<Frame> frame) mutable {
        return FinishDial(std::move(stream), kj::mv(frame));
      })
      .catch_([address](kj::Exception&& e) {
        return DialedLink{DialOutcome::kConnected,
                          {},
                          std::nullopt,
                          absl::StrCat("no welcome from ", address, ": ", Words(e))};
      });
}

}  // namespace

kj::Promise<DialedLink> DialLink(Host& host, std::string address, Lane lane, uint16_t worker,
                                 Introduction ours, absl::Duration limit) {
  auto deadline = host.timer().afterDelay(ToKj(limit)).then([address, limit] {
    return DialedLink{
        DialOutcome::kTimedOut,
        {},
        std::nullopt,
        absl::StrCat("no welcome from ", address, " within ", absl::FormatDuration(limit))};
  });
  return host.network()
      .Dial(address, limit)
      .then([&host, address, lane, worker,
             ours = std::move(ours)](Dialed&& dialed) mutable -> kj::Promise<DialedLink> {
        if (dialed.outcome != DialOutcome::kConnected) {
          return DialedLink{dialed.outcome, {}, std::nullopt, std::move(dialed.detail)};
        }
        return SayHello(host, kj::mv(dialed.stream), address, lane, worker, std::move(ours));
      })
      .exclusiveJoin(kj::mv(deadline));
}

kj::Promise<Greeting> ReadGreeting(Host& host, kj::AsyncIoStream& stream) {
  struct Buffer {
    kj::byte bytes[kPreambleBytes];
  };
  auto buffer = kj::heap<Buffer>();
  auto* bytes = buffer->bytes;
  // Eight bytes tell the protocols apart; only a troupe peer owes eight more.
  auto greeting = stream.tryRead(bytes, sizeof kMagic, sizeof kMagic)
                      .then([bytes, &stream](size_t n) -> kj::Promise<Greeting> {
                        if (n < sizeof kMagic)
                          return Disconnected("the peer said nothing and went away");
                        if (std::memcmp(bytes, kMagic, sizeof kMagic) != 0) {
                          Greeting other;
                          other.first_bytes.assign(reinterpret_cast<const char*>(bytes), n);
                          return other;
                        }
                        return stream.read(bytes + n, kPreambleBytes - n).then([bytes] {
                          KJ_REQUIRE(bytes[8] <= 1, "unknown lane", bytes[8]);
                          Greeting troupe;
                          troupe.kind = Greeting::Kind::kTroupe;
                          troupe.lane = static_cast<Lane>(bytes[8]);
                          troupe.worker = static_cast<uint16_t>(bytes[10] | bytes[11] << 8);
                          return troupe;
                        });
                      })
                      .attach(kj::mv(buffer));
  return host.timer().timeoutAfter(ToKj(kHelloLimit), kj::mv(greeting));
}

kj::Promise<kj::Own<Link>> AcceptLink(Host& host, kj::Own<kj::AsyncIoStream> raw, Introduction ours,
                                      JudgePeer judge) {
  auto stream = std::make_unique<FrameStream>(kj::mv(raw), host.clock());
  auto hello = stream->ReadOne(kHelloBytesMax);
  auto accepted = hello.then([stream = std::move(stream), ours = std::move(ours),
                              judge = kj::mv(judge)](
                                 kj::Own<Frame> frame) mutable -> kj::Promise<kj::Own<Link>> {
    KJ_REQUIRE(frame->kind() == wire::KIND_HELLO, "the first frame is not a hello", frame->kind());
    auto hello = frame->header<wire::Hello>();
    auto theirs = Decode(hello);
    auto own_refusal = judge(theirs);
    auto refusal = Judge(ours, theirs, hello.getVersionMin(), hello.getVersionMax());
    if (!refusal) refusal = std::move(own_refusal);
    if (!refusal) {
      SendHello(*stream, wire::KIND_WELCOME, ours);
      return kj::heap<Link>(std::move(stream), std::move(theirs));
    }
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<wire::Refusal>();
    out.setReason(refusal->reason);
    out.setDetail(Ptr(refusal->detail));
    stream->Send(wire::KIND_REFUSAL, message);
    auto flushed = stream->Flushed();
    return flushed.then([stream = std::move(stream), refusal = *refusal]() -> kj::Own<Link> {
      kj::throwFatalException(Failed(refusal.detail));
    });
  });
  return host.timer().timeoutAfter(ToKj(kHelloLimit), kj::mv(accepted));
}

}  // namespace troupe
