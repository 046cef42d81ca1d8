#include "troupe/actors/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/call.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/setting_values.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/socket_address.h"

namespace troupe {
namespace {

constexpr absl::Duration kAskAgain = absl::Milliseconds(20);  // Between questions for a newer map.
constexpr size_t kTransactionsMax = 256;  // At a time; each is a caller that actors remember.
constexpr absl::Duration kSeekAgain = absl::Seconds(1);  // A node by its name.

}  // namespace

class Client::ClientOrigin final : public CallOrigin {
 public:
  explicit ClientOrigin(Client& client) : client_(client) {}
  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    CallHeader header{target, interface_id, method_id, client_.sequence_.Next(), {}};
    header.metadata = client_.options_.metadata.And(options.metadata);
    const absl::Time deadline =
        client_.host_.clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
    return client_.caller_.Call(std::move(header), std::move(params), deadline, &client_.sequence_);
  }

 private:
  Client& client_;
};

// Calls of one transaction at a time. A caller of its own: calls of a transaction run before others
// of this client that wait for its end.
class Client::TransactionCaller final : public kj::Refcounted {
 public:
  class Scope;
  explicit TransactionCaller(Client& client)
      : client_(&client),
        sequence_(client.host_.RandomId()),
        caller_(kj::heap<Router::Caller>(client.router_)) {}

  // The client ends.
  void End() {
    client_ = nullptr;
    caller_ = nullptr;
  }
  bool busy() const { return busy_; }

 private:
  Client* client_;
  ClientSequence sequence_;
  kj::Own<Router::Caller> caller_;
  bool busy_ = false;
};

class Client::TransactionCaller::Scope final : public TransactionScope {
 public:
  explicit Scope(kj::Own<TransactionCaller> caller)
      : caller_(kj::mv(caller)), id_(caller_->client_->host_.RandomId()) {
    caller_->busy_ = true;
  }
  ~Scope() noexcept(false) { caller_->busy_ = false; }

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    if (host() == nullptr) return Disconnected("the client has ended");
    CallHeader header{target, interface_id, method_id, caller_->sequence_.Next(), {}};
    header.metadata = caller_->client_->options_.metadata.And(options.metadata);
    const absl::Time deadline = host()->clock().Now() + std::min(options.TimeLimit(), kDeadlineMax);
    return caller_->caller_->Call(std::move(header), std::move(params), deadline,
                                  &caller_->sequence_);
  }
  Host* host() override { return caller_->client_ == nullptr ? nullptr : &caller_->client_->host_; }
  Id128 id() const override { return id_; }
  const ActorId& self() const override {
    static const ActorId kNobody;
    return kNobody;
  }
  absl::Time latest() const override { return absl::InfiniteFuture(); }
  bool TellsWhenDropped() const override { return true; }

 private:
  kj::Own<TransactionCaller> caller_;
  const Id128 id_;
};

// The one that was used first is used most: an actor remembers all that have called it.
kj::Own<TransactionScope> Client::BeginTransaction() {
  for (auto& caller : transactions_) {
    if (!caller->busy()) {
      return kj::refcounted<TransactionCaller::Scope>(kj::addRef(*caller));
    }
  }
  if (transactions_.size() >= kTransactionsMax) {
    kj::throwFatalException(Overloaded(absl::StrCat(
        kTransactionsMax, " transactions of this client are under way; begin more later")));
  }
  transactions_.push_back(kj::refcounted<TransactionCaller>(*this));
  return kj::refcounted<TransactionCaller::Scope>(kj::addRef(*transactions_.back()));
}

Client::Client(Host& host, ClientOptions options)
    : host_(host),
      options_(std::move(options)),
      nonce_(host.RandomId()),
      worker_(static_cast<uint16_t>(host.random().Below(256))),
      links_(
          host, Lane::kData, worker_, [this] { return Introduce(); }, *this),
      router_(host, links_, *this, 0),
      sequence_(nonce_),
      caller_(router_) {
  KJ_REQUIRE(!options_.nodes.empty(),
             "ClientOptions::nodes is empty: a client needs the host:port of at least one node");
  for (const auto& node : options_.nodes) {
    if (IsDialAddress(node)) continue;
    kj::throwFatalException(Failed(absl::StrCat(
        "ClientOptions::nodes has \"", node,
        "\"; expected host:port, such as 10.0.0.1:7100, node1.example:7100 or [::1]:7100")));
  }
  for (const auto& node : options_.nodes) {
    if (SocketAddress::Parse(node).ok()) {
      links_.Want(node, node, 0);
    } else {
      seeking_.push_back(Seek(node).eagerlyEvaluate(nullptr));
    }
  }
}

kj::Promise<void> Client::Seek(std::string node) {
  return host_.network().Resolve(node).then(
      [this, node](std::vector<std::string> found) -> kj::Promise<void> {
        if (map()) return kj::READY_NOW;  // It names them all.
        for (const auto& address : found) links_.Want(address, address, 0);
        if (found.empty()) {
          troubles_[node] = "the name is not known";
        } else {
          troubles_.erase(node);
        }
        return host_.timer().afterDelay(ToKj(kSeekAgain)).then([this, node] { return Seek(node); });
      });
}

Client::~Client() noexcept(false) {
  for (auto& caller : transactions_) caller->End();
}

Introduction Client::Introduce() const {
  Introduction out;
  out.cluster_name = options_.cluster_name;
  out.role = Role::kClient;
  out.node = options_.name;
  out.nonce = nonce_;
  if (map()) out.cluster = map()->cluster;
  return out;
}

kj::Own<CallOrigin> Client::Origin() { return kj::refcounted<ClientOrigin>(*this); }

kj::Promise<void> Client::Connected(absl::Duration limit) {
  if (map()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiting_.push_back(kj::mv(paf.fulfiller));
  auto late = host_.timer().afterDelay(ToKj(limit)).then([this, limit]() -> kj::Promise<void> {
    return Disconnected(absl::StrCat("no node of the cluster answered within ",
                                     absl::FormatDuration(limit), Troubles()));
  });
  return paf.promise.exclusiveJoin(kj::mv(late));
}

void Client::OnLinkUp(const std::string& node, Link& link) {
  troubles_.erase(node);
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::MapPull>().setHave(map() ? map()->version : 0);
  link.stream().Send(wire::KIND_MAP_PULL, message);
  for (auto& [number, question] : questions_) {
    if (question.node != node) continue;
    capnp::MallocMessageBuilder pull;
    pull.initRoot<wire::StatusPull>().setNumber(number);
    link.stream().Send(wire::KIND_STATUS_PULL, pull);
  }
  ups_[node] = next_up_++;
  AnnounceObservers(node, link);  // Before calls that carry their refs.
  router_.OnLinkUp(node);
}

void Client::OnLinkFrame(const std::string& node, Link&, kj::Own<Frame> frame) {
  switch (frame->kind()) {
    case wire::KIND_CALL:
      return OnObserverCall(node, kj::mv(frame));
    case wire::KIND_ANSWER:
      return router_.OnAnswer(kj::mv(frame));
    case wire::KIND_MAP:
      return TakeMap(*frame);
    case wire::KIND_STATUS: {
      auto status = Payload::Of(kj::mv(frame));
      capnp::FlatArrayMessageReader reader(status.words());
      auto it = questions_.find(reader.getRoot<wire::StatusFrame>().getNumber());
      if (it == questions_.end()) return;
      it->second.answer->fulfill(std::move(status));
      questions_.erase(it);
      return;
    }
    default:
      return;
  }
}

void Client::TakeMap(Frame& frame) {
  capnp::FlatArrayMessageReader reader(frame.payload());
  auto state = Read(reader.getRoot<wire::ClusterState>());
  if (!state.ok()) {
    host_.log().Warning("a map could not be read", {{"error", state.status().ToString()}});
    return;
  }
  if (map() && state->version <= map()->version) return;
  auto fresh = std::make_shared<const ClusterState>(std::move(*state));
  // A link to every node: whichever dies, another tells what is next.
  for (const auto& node : fresh->nodes) {
    if (node.state == NodeState::kLeft || node.addresses.empty()) {
      links_.Forget(node.name);
    } else {
      links_.Want(node.name, node.addresses.front(), node.boot);
    }
  }
  router_.OnMap(fresh);
  for (auto& waiting : std::exchange(waiting_, {})) waiting->fulfill();
  on_map_(*fresh);
}

void Client::OnLinkDown(const std::string& node, const LinkLoss& loss) {
  troubles_[node] = loss.detail;
  if (loss.was_up) router_.OnLinkDown(node, loss.detail);
}

// ---- Observers

kj::Own<ObserverMailbox> Client::AddObserver(uint64_t type, kj::Own<ActorBase> object) {
  const bool first = observers_ == nullptr;
  if (first) observers_ = std::make_unique<Observers>(host_, worker_);
  auto mailbox = observers_->Add(type, kj::mv(object), Origin());
  if (first) {
    for (const auto& node : links_.wanted()) {
      if (auto* link = links_.Find(node)) AnnounceObservers(node, *link);
    }
  }
  return mailbox;
}

// Not on links to addresses, of which the node behind them has a second one by its name.
void Client::AnnounceObservers(const std::string& node, Link& link) {
  if (!observers_ || !map() || map()->FindNode(node) == nullptr) return;
  capnp::MallocMessageBuilder message;
  auto secret = message.initRoot<wire::ObserveFrame>().initSecret();
  secret.setHi(observers_->secret().hi);
  secret.setLo(observers_->secret().lo);
  link.stream().Send(wire::KIND_OBSERVE, message);
}

void Client::OnObserverCall(const std::string& node, kj::Own<Frame> frame) {
  if (!observers_) return;  // Nobody has asked for it.
  auto in = frame->header<wire::CallFrame>();
  auto header = DecodeCall(in);
  CheckMessage(frame->payload());
  const absl::Time deadline = host_.clock().Now() +
                              std::min(absl::Milliseconds(in.getTimeLeftMs()), kDeadlineMax) -
                              frame->transit();
  observers_->Deliver(kj::heap<InboundCall>(
      std::move(header), Payload::Of(kj::mv(frame)), deadline,
      [this, node, up = ups_[node], number = in.getNumber()](CallOutcome&& outcome) {
        AnswerObserverCall(node, up, number, std::move(outcome));
      }));
}

// On the link that the call came by, or not at all.
void Client::AnswerObserverCall(const std::string& node, uint64_t up, uint64_t number,
                                CallOutcome&& outcome) {
  auto* link = links_.Find(node);
  if (link == nullptr || ups_[node] != up) return;
  SendAnswer(link->stream(), number, std::move(outcome), 0);
}

// The only actors here are its own observers.
void Client::DispatchHere(kj::Own<InboundCall> call) { observers_->Deliver(kj::mv(call)); }

std::string Client::Troubles() const {
  std::string text;
  for (const auto& [node, trouble] : troubles_) absl::StrAppend(&text, "; ", node, ": ", trouble);
  return text;
}

void Client::NeedNewerMap(uint64_t) {
  // Nodes push every newer map; asking again only helps when a push was lost with its node.
  const absl::Time now = host_.clock().Now();
  if (now - asked_ < kAskAgain) return;
  asked_ = now;
  for (const auto& node : links_.wanted()) {
    if (auto* link = links_.Find(node)) {
      capnp::MallocMessageBuilder message;
      message.initRoot<wire::MapPull>().setHave(map() ? map()->version : 0);
      link->stream().Send(wire::KIND_MAP_PULL, message);
    } else {
      links_.Hurry(node);
    }
  }
}

kj::Promise<void> Client::Unsuspend(const ActorId& actor, absl::Duration limit) {
  capnp::MallocMessageBuilder nothing;
  nothing.getRoot<capnp::AnyPointer>();
  CallHeader header{actor, kActivationInterface, kUnsuspendMethod, sequence_.Next(), {}};
  return caller_
      .Call(std::move(header), Payload::Of(nothing), host_.clock().Now() + limit, &sequence_)
      .ignoreResult();
}

kj::Promise<Payload> Client::Status(std::string node, absl::Duration limit) {
  const uint64_t number = next_question_++;
  auto paf = kj::newPromiseAndFulfiller<Payload>();
  questions_[number] = {node, kj::mv(paf.fulfiller)};
  if (auto* link = links_.Find(node)) {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::StatusPull>().setNumber(number);
    link->stream().Send(wire::KIND_STATUS_PULL, message);
  }
  auto late = host_.timer()
                  .afterDelay(ToKj(limit))
                  .then([this, node, number, limit]() -> kj::Promise<Payload> {
                    auto question = questions_.extract(number);
                    if (question.empty()) return kj::NEVER_DONE;  // Answered in this very turn.
                    std::string text =
                        absl::StrCat("node ", node, " did not tell its status within ",
                                     absl::FormatDuration(limit));
                    auto trouble = troubles_.find(node);
                    if (trouble != troubles_.end()) absl::StrAppend(&text, "; ", trouble->second);
                    question.mapped().answer->reject(Overloaded(text));
                    return kj::NEVER_DONE;
                  });
  return paf.promise.exclusiveJoin(kj::mv(late));
}

}  // namespace troupe
