#include <time.h>  // Before errqueue.h, which needs timespec.

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <utility>

#include "kj/debug.h"
#include "troupe/runtime/fd_watcher.h"
#include "troupe/runtime/internal/uv_sockets.h"

namespace troupe {

namespace {

constexpr size_t kDatagramMax = 65536;  // More than UDP can carry.

class UvDatagramSocket final : public DatagramSocket, public FdWatcher::Observer {
 public:
  UvDatagramSocket(UvEventPort& port, OwnFd fd)
      : fd_(std::move(fd)),
        bound_(SocketAddress::OfBound(fd_.get())),
        buffer_(kDatagramMax),
        watcher_(kj::heap<FdWatcher>(port, fd_.get(), *this)) {}
  ~UvDatagramSocket() noexcept(false);

  SendOutcome Send(std::string_view to, std::span<const std::byte> bytes) override;
  kj::Promise<DatagramEvent> Receive() override;
  std::string address() const override { return bound_.ToString(); }

 private:
  class ReceiveOp;
  std::optional<DatagramEvent> Next();
  std::optional<DatagramEvent> NextError();
  void OnFdReady(unsigned events) override;

  OwnFd fd_;
  const SocketAddress bound_;
  std::vector<std::byte> buffer_;
  kj::Own<FdWatcher> watcher_;
  ReceiveOp* receiver_ = nullptr;
  bool error_seen_ = false;  // The error queue is perhaps not empty.
};

class UvDatagramSocket::ReceiveOp {
 public:
  ReceiveOp(kj::PromiseFulfiller<DatagramEvent>& result, UvDatagramSocket& socket)
      : result(result), socket_(&socket) {
    socket.receiver_ = this;
  }
  ~ReceiveOp() {
    if (socket_ != nullptr) socket_->receiver_ = nullptr;
  }
  void Detach() {
    socket_->receiver_ = nullptr;
    socket_ = nullptr;
  }
  kj::PromiseFulfiller<DatagramEvent>& result;

 private:
  UvDatagramSocket* socket_;
};

UvDatagramSocket::~UvDatagramSocket() noexcept(false) {
  watcher_ = nullptr;
  if (ReceiveOp* op = receiver_) {
    op->Detach();
    op->result.reject(Disconnected("datagram socket dropped while receiving", ECANCELED));
  }
}

// An earlier datagram's error can come back from a later send, which then has sent nothing.
bool IsOfEarlierDatagram(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == EPROTO || error == EHOSTDOWN;
}

SendOutcome UvDatagramSocket::Send(std::string_view to, std::span<const std::byte> bytes) {
  absl::StatusOr<SocketAddress> parsed = SocketAddress::Parse(to);
  if (!parsed.ok()) return SendOutcome::kLocalFailure;
  const SocketAddress address = bound_.family() == AF_INET6 ? parsed->MappedToV6() : *parsed;
  if (address.family() != bound_.family()) return SendOutcome::kLocalFailure;
  int error = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    ssize_t n = Retrying([&] {
      return ::sendto(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                      address.data(), address.size());
    });
    if (n >= 0) return SendOutcome::kSent;
    error = errno;
    error_seen_ = true;
    if (!IsOfEarlierDatagram(error)) return SendOutcome::kLocalFailure;
  }
  return error == ECONNREFUSED ? SendOutcome::kLocalFailure : SendOutcome::kUnreachable;
}

kj::Promise<DatagramEvent> UvDatagramSocket::Receive() {
  KJ_REQUIRE(receiver_ == nullptr, "one Receive() at a time");
  if (std::optional<DatagramEvent> event = Next()) return kj::mv(*event);
  watcher_->Watch(FdWatcher::kReadable);
  return kj::newAdaptedPromise<DatagramEvent, ReceiveOp>(*this);
}

std::optional<DatagramEvent> UvDatagramSocket::Next() {
  while (true) {
    if (std::exchange(error_seen_, false)) {
      if (std::optional<DatagramEvent> refused = NextError()) return refused;
    }
    sockaddr_storage from = {};
    socklen_t size = sizeof from;
    ssize_t n = Retrying([&] {
      return ::recvfrom(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT,
                        reinterpret_cast<sockaddr*>(&from), &size);
    });
    if (n >= 0) {
      return DatagramEvent{DatagramEvent::Kind::kMessage,
                           {SocketAddress(reinterpret_cast<sockaddr*>(&from), size).ToString(),
                            {buffer_.begin(), buffer_.begin() + n}}};
    }
    // The kernel reports a waiting error once, in place of a message; its story is in the queue.
    if (errno == EAGAIN) return NextError();
    error_seen_ = true;
  }
}

// The next refusal in the error queue; what else is there is dropped.
std::optional<DatagramEvent> UvDatagramSocket::NextError() {
  while (true) {
    sockaddr_storage destination = {};
    alignas(cmsghdr) char control[512];
    iovec part{buffer_.data(), buffer_.size()};
    msghdr message = {};
    message.msg_name = &destination;
    message.msg_namelen = sizeof destination;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (Retrying([&] { return ::recvmsg(fd_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT); }) < 0) {
      return std::nullopt;
    }
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      const bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
      if (!is_error) continue;
      const auto* error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(c));
      const bool remote =
          error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6;
      if (error->ee_errno != ECONNREFUSED || !remote) continue;
      SocketAddress to(reinterpret_cast<sockaddr*>(&destination), message.msg_namelen);
      error_seen_ = true;  // There may be more.
      return DatagramEvent{DatagramEvent::Kind::kRefused, {to.ToString(), {}}};
    }
  }
}

void UvDatagramSocket::OnFdReady(unsigned) {
  if (receiver_ == nullptr) return watcher_->Watch(FdWatcher::kNone);
  if (std::optional<DatagramEvent> event = Next()) {
    ReceiveOp* op = receiver_;
    op->Detach();
    op->result.fulfill(kj::mv(*event));
  }
  watcher_->Watch(FdWatcher::kReadable);  // An error took the interest away.
}

}  // namespace

absl::StatusOr<kj::Own<DatagramSocket>> UvBind(UvEventPort& port, std::string_view text) {
  absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
  if (!address.ok()) return address.status();
  if (address->family() == AF_UNIX) {
    return absl::InvalidArgumentError(
        absl::StrCat("datagrams need host:port, got ", std::string(text)));
  }
  OwnFd fd(::socket(address->family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return OpenFailure("bind", text, errno);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);  // IPv6 sockets also send IPv4.
  if (address->family() == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  }
  if (::bind(fd.get(), address->data(), address->size()) != 0)
    return OpenFailure("bind", text, errno);
  return kj::Own<DatagramSocket>(kj::heap<UvDatagramSocket>(port, std::move(fd)));
}

}  // namespace troupe
