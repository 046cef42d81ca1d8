// Dialing, listening and accepting in the simulated network.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/internal/sim_stream.h"

namespace troupe::internal {
namespace {

constexpr size_t kBacklogMax = 128;
constexpr absl::Duration kFirstRetry = absl::Seconds(1);  // Of a lost SYN; doubles.

// A dial under way: a SYN, its retries, the answer, and the limit on all that.
class SimDial {
 public:
  SimDial(kj::PromiseFulfiller<Dialed>& fulfiller, SimFabric& fabric, SimProcess& process,
          std::string address, SimAddress to, absl::Duration limit)
      : fulfiller_(fulfiller),
        fabric_(fabric),
        process_(process),
        address_(std::move(address)),
        to_(std::move(to)) {
    // The caller's clock may drift; for a limit on connecting that makes no difference.
    limit_ = schedule().After(limit, SimEvent::kDial, nullptr, [this]() {
      limit_ = 0;
      Finish(DialOutcome::kTimedOut, "no answer");
    });
    if (to_.computer != nullptr) SendSyn();
  }
  ~SimDial() noexcept {
    for (auto id : {step_, limit_, wake_}) schedule().Cancel(id);
  }

 private:
  SimSchedule& schedule() { return fabric_.schedule(); }
  SimComputer& self() { return process_.computer(); }
  SimComputer& server() { return *to_.computer; }

  template <typename Next>
  void Step(absl::Duration delay, Next next) {
    step_ = schedule().After(delay, SimEvent::kDial, nullptr, [this, next]() {
      step_ = 0;
      next();
    });
  }
  void SendSyn() {
    Step(fabric_.Latency(self(), server()), [this]() { SynArrives(); });
  }
  void Retry() {
    Step(retry_, [this]() { SendSyn(); });
    retry_ = retry_ * 2;
  }
  void SynArrives() {
    if (!fabric_.Open(self(), server())) return Retry();
    auto listener = server().listeners.find(to_.port);
    const bool nobody = listener == server().listeners.end();
    const bool refused = nobody || fabric_.Refuses(self(), server());
    if (!refused && listener->second->full()) return Retry();
    Step(fabric_.Latency(server(), self()), [this, refused]() { AnswerArrives(refused); });
  }
  void AnswerArrives(bool refused) {
    if (!fabric_.Open(server(), self())) return Retry();
    if (refused) return Finish(DialOutcome::kRefused, "connection refused");
    Finish(DialOutcome::kConnected, "");
  }

  void Finish(DialOutcome outcome, const char* detail) {
    schedule().Cancel(std::exchange(step_, 0));
    schedule().Cancel(std::exchange(limit_, 0));
    wake_ = schedule().Wake(process_, [this, outcome, detail]() {
      wake_ = 0;
      Dialed dialed{outcome, {}, ""};
      if (outcome == DialOutcome::kConnected) {
        dialed.stream = Connect();
      } else {
        dialed.detail = absl::StrCat(address_, ": ", detail);
      }
      fulfiller_.fulfill(kj::mv(dialed));
    });
  }
  kj::Own<kj::AsyncIoStream> Connect() {
    std::string from =
        to_.port.starts_with("unix:") ? to_.port : absl::StrCat(self().ip, ":", self().next_port++);
    if (self().next_port < 32768) self().next_port = 32768;  // Wrapped around.
    auto connection =
        kj::refcounted<SimConnection>(fabric_, process_, std::move(from), server(), to_.port);
    connection->Open();
    return MakeSimStream(kj::mv(connection), 0);
  }

  kj::PromiseFulfiller<Dialed>& fulfiller_;
  SimFabric& fabric_;
  SimProcess& process_;
  std::string address_;
  SimAddress to_;
  absl::Duration retry_ = kFirstRetry;
  SimSchedule::Id step_ = 0;
  SimSchedule::Id limit_ = 0;
  SimSchedule::Id wake_ = 0;
};

class SimDetachedStream final : public DetachedStream {
 public:
  explicit SimDetachedStream(kj::Own<kj::AsyncIoStream> s) : stream(kj::mv(s)) {}
  kj::Own<kj::AsyncIoStream> stream;
};

}  // namespace

// One Accept() call.
class SimAccept {
 public:
  SimAccept(kj::PromiseFulfiller<Accepted>& fulfiller, SimListener& listener)
      : fulfiller_(fulfiller), listener_(&listener) {
    listener.waiting_.push_back(this);
    listener.Pump();
  }
  ~SimAccept() noexcept {
    if (listener_ == nullptr) return;
    listener_->fabric_.schedule().Cancel(wake_);
    std::erase(listener_->waiting_, this);
  }

  void Try() {
    if (wake_ != 0) return;
    wake_ = listener_->fabric_.schedule().Wake(listener_->process_, [this]() {
      wake_ = 0;
      if (listener_->backlog_.empty()) return;
      auto connection = kj::mv(listener_->backlog_.front());
      listener_->backlog_.pop_front();
      std::erase(listener_->waiting_, this);
      std::string peer = connection->address(0);
      fulfiller_.fulfill(Accepted{MakeSimStream(kj::mv(connection), 1), std::move(peer)});
      listener_ = nullptr;
    });
  }
  void ListenerGone() {
    listener_->fabric_.schedule().Cancel(wake_);
    listener_ = nullptr;
  }

 private:
  kj::PromiseFulfiller<Accepted>& fulfiller_;
  SimListener* listener_;
  SimSchedule::Id wake_ = 0;
};

SimListener::SimListener(SimFabric& fabric, SimProcess& process, std::string port,
                         std::string address)
    : fabric_(fabric), process_(process), port_(std::move(port)), address_(std::move(address)) {
  process_.computer().listeners[port_] = this;
}

SimListener::~SimListener() noexcept(false) {
  for (auto* accept : waiting_) accept->ListenerGone();
  Close();
}

void SimListener::Close() {
  if (!std::exchange(open_, false)) return;
  process_.computer().listeners.erase(port_);
  for (auto& connection : std::exchange(backlog_, {})) connection->Close(1);
}

bool SimListener::full() const { return backlog_.size() >= kBacklogMax; }

void SimListener::Arrived(kj::Own<SimConnection> connection) {
  backlog_.push_back(kj::mv(connection));
  Pump();
}

void SimListener::Pump() {
  size_t count = std::min(waiting_.size(), backlog_.size());
  std::vector<SimAccept*> ready(waiting_.begin(), waiting_.begin() + static_cast<long>(count));
  for (auto* accept : ready) accept->Try();
}

kj::Promise<Accepted> SimListener::Accept() {
  if (process_.dead()) return kj::NEVER_DONE;
  return kj::newAdaptedPromise<Accepted, SimAccept>(*this);
}

kj::Promise<Dialed> SimNetwork::Dial(std::string_view address, absl::Duration limit) {
  if (process_.dead()) return kj::NEVER_DONE;
  auto to = fabric_.Parse(address, process_.computer());
  if (!to.has_value()) {
    return Dialed{
        DialOutcome::kLocalFailure, {}, absl::StrCat(std::string(address), ": not an address")};
  }
  return kj::newAdaptedPromise<Dialed, SimDial>(fabric_, process_, std::string(address),
                                                std::move(*to), limit);
}

absl::StatusOr<kj::Own<Listener>> SimNetwork::Listen(std::string_view address) {
  auto& computer = process_.computer();
  std::string text(address);
  auto at = fabric_.Parse(address, computer);
  if (!at.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("expected host:port or unix:/path, got ", text));
  }
  if (process_.dead()) return absl::UnavailableError(absl::StrCat(text, ": the process is dead"));
  if (at->computer != &computer) {
    return absl::InvalidArgumentError(absl::StrCat(text, " is not an address of ", computer.ip));
  }
  while (at->port == "0") {
    std::string port = absl::StrCat(computer.next_port++);
    if (!computer.listeners.contains(port)) at->port = port;
  }
  if (computer.listeners.contains(at->port)) {
    return absl::AlreadyExistsError(absl::StrCat(text, " is in use"));
  }
  std::string bound =
      at->port.starts_with("unix:") ? at->port : absl::StrCat(computer.ip, ":", at->port);
  return kj::Own<Listener>(
      kj::heap<SimListener>(fabric_, process_, std::move(at->port), std::move(bound)));
}

kj::Promise<std::vector<std::string>> SimNetwork::Resolve(std::string name_and_port) {
  return fabric_.Resolve(name_and_port);
}

kj::Own<DetachedStream> SimNetwork::Detach(kj::Own<kj::AsyncIoStream> stream) {
  return kj::heap<SimDetachedStream>(kj::mv(stream));
}

kj::Own<kj::AsyncIoStream> SimNetwork::Attach(kj::Own<DetachedStream> stream) {
  return kj::mv(kj::downcast<SimDetachedStream>(*stream).stream);
}

}  // namespace troupe::internal
