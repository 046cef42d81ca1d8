#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "kj/debug.h"
#include "troupe/runtime/fd_watcher.h"
#include "troupe/runtime/internal/uv_sockets.h"
#include "troupe/runtime/internal/uv_stream.h"

namespace troupe {

namespace {

constexpr int kBacklog = 1024;
// When descriptors have run out, the connection stays in the backlog and accepting it is tried
// anew.
constexpr kj::Duration kExhaustedPause = 50 * kj::MILLISECONDS;

class UvListener final : public Listener, public FdWatcher::Observer {
 public:
  UvListener(UvEventPort& port, OwnFd fd)
      : port_(port),
        fd_(std::move(fd)),
        bound_(SocketAddress::OfBound(fd_.get())),
        watcher_(kj::heap<FdWatcher>(port, fd_.get(), *this)),
        pause_(nullptr) {
    if (!bound_.path().empty() && ::stat(Path().c_str(), &file_) != 0) file_ = {};
  }
  ~UvListener() noexcept(false);

  kj::Promise<Accepted> Accept() override;
  std::string address() const override { return bound_.ToString(); }

 private:
  class AcceptOp;
  enum class Progress { kDone, kBlocked, kExhausted, kFailed };

  Progress TryAccept(Accepted& accepted);
  Progress Continue();
  void WaitFor(Progress progress);
  kj::Promise<void> RetryAfterPause();
  void OnFdReady(unsigned events) override;
  std::string Path() const { return std::string(bound_.path()); }

  UvEventPort& port_;
  OwnFd fd_;
  const SocketAddress bound_;
  kj::Own<FdWatcher> watcher_;
  AcceptOp* acceptor_ = nullptr;
  struct stat file_ = {};  // Of a Unix socket, so that only our own file is removed.
  kj::Promise<void> pause_;
};

class UvListener::AcceptOp {
 public:
  AcceptOp(kj::PromiseFulfiller<Accepted>& result, UvListener& listener)
      : result(result), listener_(&listener) {
    listener.acceptor_ = this;
  }
  ~AcceptOp() {
    if (listener_ != nullptr) listener_->acceptor_ = nullptr;
  }
  void Detach() {
    listener_->acceptor_ = nullptr;
    listener_ = nullptr;
  }
  kj::PromiseFulfiller<Accepted>& result;

 private:
  UvListener* listener_;
};

UvListener::~UvListener() noexcept(false) {
  watcher_ = nullptr;
  if (AcceptOp* op = acceptor_) {
    op->Detach();
    op->result.reject(Disconnected("listener dropped while accepting", ECANCELED));
  }
  struct stat now = {};
  if (file_.st_ino != 0 && ::stat(Path().c_str(), &now) == 0 && now.st_ino == file_.st_ino &&
      now.st_dev == file_.st_dev) {
    ::unlink(Path().c_str());
  }
}

kj::Promise<Accepted> UvListener::Accept() {
  KJ_REQUIRE(acceptor_ == nullptr, "one Accept() at a time");
  Accepted accepted;
  Progress progress = TryAccept(accepted);
  if (progress == Progress::kDone) return kj::mv(accepted);
  if (progress == Progress::kFailed) return SystemFailure("accept on " + address(), errno);
  auto promise = kj::newAdaptedPromise<Accepted, AcceptOp>(*this);
  WaitFor(progress);
  return promise;
}

void UvListener::WaitFor(Progress progress) {
  if (progress == Progress::kExhausted) {
    watcher_->Watch(FdWatcher::kNone);
    pause_ = RetryAfterPause().eagerlyEvaluate(nullptr);
  } else if (progress == Progress::kBlocked) {
    watcher_->Watch(FdWatcher::kReadable);
  }
}

kj::Promise<void> UvListener::RetryAfterPause() {
  return port_.timer().afterDelay(kExhaustedPause).then([this]() -> kj::Promise<void> {
    if (acceptor_ == nullptr) return kj::READY_NOW;
    const Progress progress = Continue();
    if (progress == Progress::kExhausted) return RetryAfterPause();
    WaitFor(progress);
    return kj::READY_NOW;
  });
}

UvListener::Progress UvListener::TryAccept(Accepted& accepted) {
  while (true) {
    sockaddr_storage peer = {};
    socklen_t size = sizeof peer;
    OwnFd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                       SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      accepted.peer_address = SocketAddress(reinterpret_cast<sockaddr*>(&peer), size).ToString();
      accepted.stream = kj::heap<UvStream>(port_, std::move(fd));
      return Progress::kDone;
    }
    switch (errno) {
      case EAGAIN:
        return Progress::kBlocked;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return Progress::kExhausted;
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
        return Progress::kFailed;
      default:
        break;  // A connection that ended before it was taken: accept(2) says to go on.
    }
  }
}

void UvListener::OnFdReady(unsigned events) {
  if (acceptor_ != nullptr) {
    WaitFor(Continue());
  } else if (events & FdWatcher::kReadable) {
    watcher_->Watch(FdWatcher::kNone);
  }
}

UvListener::Progress UvListener::Continue() {
  Accepted accepted;
  const Progress progress = TryAccept(accepted);
  const int error = errno;
  AcceptOp* op = acceptor_;
  if (progress == Progress::kDone) {
    op->Detach();
    op->result.fulfill(kj::mv(accepted));
  } else if (progress == Progress::kFailed) {
    op->Detach();
    op->result.reject(SystemFailure("accept on " + address(), error));
  }
  return progress;
}

// Whether a Unix socket file is the remains of a process that ended.
bool IsStale(const SocketAddress& address) {
  OwnFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), address.data(), address.size()) != 0 &&
         errno == ECONNREFUSED;
}

int BindAndListen(const SocketAddress& address, OwnFd& fd) {
  fd.reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  const int on = 1;
  if (address.family() != AF_UNIX) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (::bind(fd.get(), address.data(), address.size()) != 0) return errno;
  if (::listen(fd.get(), kBacklog) != 0) return errno;
  return 0;
}

}  // namespace

absl::StatusOr<kj::Own<Listener>> UvListen(UvEventPort& port, std::string_view text) {
  absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
  if (!address.ok()) return address.status();
  OwnFd fd;
  int error = BindAndListen(*address, fd);
  if (error == EADDRINUSE && address->family() == AF_UNIX && IsStale(*address)) {
    ::unlink(std::string(address->path()).c_str());
    error = BindAndListen(*address, fd);
  }
  if (error != 0) return OpenFailure("listen on", text, error);
  return kj::Own<Listener>(kj::heap<UvListener>(port, std::move(fd)));
}

}  // namespace troupe
