#include "troupe/runtime/internal/sim_datagram.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace troupe::internal {
namespace {

constexpr size_t kDatagramMax = 65507;
constexpr size_t kBufferMax = 212992;   // Linux's default.
constexpr size_t kEventOverhead = 512;  // What the kernel charges for each, so empty ones count.

}  // namespace

// One Receive() call.
class SimReceive {
 public:
  SimReceive(kj::PromiseFulfiller<DatagramEvent>& fulfiller, SimDatagramSocket& socket)
      : fulfiller_(fulfiller), socket_(&socket) {
    socket.waiting_.push_back(this);
  }
  ~SimReceive() noexcept {
    if (socket_ == nullptr) return;
    socket_->fabric_.schedule().Cancel(wake_);
    std::erase(socket_->waiting_, this);
  }
  void Try() {
    if (wake_ != 0) return;
    wake_ = socket_->fabric_.schedule().Wake(socket_->process_, [this]() {
      wake_ = 0;
      if (socket_->arrived_.empty()) return;
      std::erase(socket_->waiting_, this);
      fulfiller_.fulfill(socket_->Take());
      socket_ = nullptr;
    });
  }
  void SocketGone() {
    socket_->fabric_.schedule().Cancel(wake_);
    socket_ = nullptr;
  }

 private:
  kj::PromiseFulfiller<DatagramEvent>& fulfiller_;
  SimDatagramSocket* socket_;
  SimSchedule::Id wake_ = 0;
};

SimDatagramSocket::SimDatagramSocket(SimFabric& fabric, SimProcess& process, uint16_t port)
    : fabric_(fabric), process_(process), port_(port) {
  process_.computer().datagram_ports[port_] = this;
}

SimDatagramSocket::~SimDatagramSocket() noexcept(false) {
  for (auto* receive : waiting_) receive->SocketGone();
  Close();
}

void SimDatagramSocket::Close() {
  if (std::exchange(open_, false)) process_.computer().datagram_ports.erase(port_);
}

std::string SimDatagramSocket::address() const {
  return absl::StrCat(process_.computer().ip, ":", port_);
}

SendOutcome SimDatagramSocket::Send(std::string_view to, std::span<const std::byte> bytes) {
  if (process_.dead() || bytes.size() > kDatagramMax) return SendOutcome::kLocalFailure;
  auto& self = process_.computer();
  auto target = fabric_.Parse(to, self);
  uint32_t port = 0;
  if (!target.has_value() || !absl::SimpleAtoi(target->port, &port) || port == 0) {
    return SendOutcome::kLocalFailure;
  }
  if (target->computer == nullptr) return SendOutcome::kSent;  // Nobody there to tell us.
  fabric_.SendDatagram(self, port_, *target->computer, static_cast<uint16_t>(port),
                       {bytes.begin(), bytes.end()});
  return SendOutcome::kSent;
}

kj::Promise<DatagramEvent> SimDatagramSocket::Receive() {
  if (process_.dead()) return kj::NEVER_DONE;
  if (waiting_.empty() && !arrived_.empty()) return Take();
  return kj::newAdaptedPromise<DatagramEvent, SimReceive>(*this);
}

DatagramEvent SimDatagramSocket::Take() {
  DatagramEvent event = std::move(arrived_.front());
  arrived_.pop_front();
  buffered_ -= event.datagram.bytes.size() + kEventOverhead;
  return event;
}

void SimDatagramSocket::Arrived(DatagramEvent event) {
  size_t size = event.datagram.bytes.size() + kEventOverhead;
  if (buffered_ + size > kBufferMax) return;
  buffered_ += size;
  arrived_.push_back(std::move(event));
  Pump();
}

void SimDatagramSocket::Pump() {
  size_t count = std::min(waiting_.size(), arrived_.size());
  std::vector<SimReceive*> ready(waiting_.begin(), waiting_.begin() + static_cast<long>(count));
  for (auto* receive : ready) receive->Try();
}

absl::StatusOr<kj::Own<DatagramSocket>> SimNetwork::Bind(std::string_view address) {
  auto& computer = process_.computer();
  std::string text(address);
  auto at = fabric_.Parse(address, computer);
  uint32_t port = 0;
  if (!at.has_value() || !absl::SimpleAtoi(at->port, &port) || at->computer != &computer) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected an address of ", computer.ip, ", got ", text));
  }
  if (process_.dead()) return absl::UnavailableError(absl::StrCat(text, ": the process is dead"));
  while (port == 0) {
    uint16_t candidate = computer.next_port++;
    if (candidate >= 1024 && !computer.datagram_ports.contains(candidate)) port = candidate;
  }
  if (computer.datagram_ports.contains(static_cast<uint16_t>(port))) {
    return absl::AlreadyExistsError(absl::StrCat(text, " is in use"));
  }
  return kj::Own<DatagramSocket>(
      kj::heap<SimDatagramSocket>(fabric_, process_, static_cast<uint16_t>(port)));
}

}  // namespace troupe::internal
