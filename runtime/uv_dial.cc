#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "kj/debug.h"
#include "troupe/runtime/fd_watcher.h"
#include "troupe/runtime/internal/uv_sockets.h"
#include "troupe/runtime/internal/uv_stream.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {

namespace {

// How often to try a Unix socket whose backlog is full: the kernel has no event for it.
constexpr absl::Duration kFullBacklogPause = absl::Milliseconds(2);

DialOutcome Classify(int error) {
  switch (error) {
    case ECONNREFUSED:
      return DialOutcome::kRefused;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ECONNRESET:
    case ENOENT:  // No such Unix socket: nobody is there who could refuse.
      return DialOutcome::kUnreachable;
    case ETIMEDOUT:
      return DialOutcome::kTimedOut;
    default:
      return DialOutcome::kLocalFailure;
  }
}

// One attempt on a socket of its own.
class DialOp final : public FdWatcher::Observer {
 public:
  DialOp(kj::PromiseFulfiller<Dialed>& result, UvEventPort& port, SocketAddress address,
         absl::Duration limit)
      : result_(result), port_(port), address_(address), retry_(nullptr), timeout_(nullptr) {
    Start();
    if (done_) return;
    if (backlog_full_) retry_ = RetryWhileFull().eagerlyEvaluate(nullptr);
    timeout_ = port.timer()
                   .afterDelay(ToKj(limit))
                   .then([this]() {
                     if (!done_) Fail(ETIMEDOUT);
                   })
                   .eagerlyEvaluate(nullptr);
  }
  ~DialOp() noexcept(false) { watcher_ = nullptr; }

 private:
  void Start() {
    fd_.reset(::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) return Fail(errno);
    Connect();
  }

  kj::Promise<void> RetryWhileFull() {
    return port_.timer().afterDelay(ToKj(kFullBacklogPause)).then([this]() -> kj::Promise<void> {
      if (done_) return kj::READY_NOW;
      backlog_full_ = false;
      Connect();
      return backlog_full_ ? RetryWhileFull() : kj::READY_NOW;
    });
  }

  void Connect() {
    if (::connect(fd_.get(), address_.data(), address_.size()) == 0) return Succeed();
    const int error = errno;
    if (error == EAGAIN && address_.family() == AF_UNIX) {
      backlog_full_ = true;
    } else if (error == EINPROGRESS || error == EINTR) {
      watcher_ = kj::heap<FdWatcher>(port_, fd_.get(), *this);
      watcher_->Watch(FdWatcher::kWritable);
    } else {
      Fail(error);
    }
  }

  void OnFdReady(unsigned) override {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Fail(error);
    Succeed();
  }

  void Succeed() {
    watcher_ = nullptr;
    if (address_.family() != AF_UNIX &&
        SocketAddress::OfBound(fd_.get()) == SocketAddress::OfPeer(fd_.get())) {
      return Fail(ECONNREFUSED);
    }
    done_ = true;
    Dialed dialed{DialOutcome::kConnected, {}, {}};
    dialed.stream = kj::heap<UvStream>(port_, std::move(fd_));
    result_.fulfill(kj::mv(dialed));
  }

  void Fail(int error) {
    watcher_ = nullptr;
    fd_.reset();
    done_ = true;
    result_.fulfill(
        Dialed{Classify(error),
               {},
               absl::StrCat("connect to ", address_.ToString(), ": ", ErrnoText(error))});
  }

  kj::PromiseFulfiller<Dialed>& result_;
  UvEventPort& port_;
  const SocketAddress address_;
  OwnFd fd_;
  kj::Own<FdWatcher> watcher_;
  bool done_ = false;
  bool backlog_full_ = false;  // Unix sockets only; there is then nothing to watch.
  kj::Promise<void> retry_;
  kj::Promise<void> timeout_;
};

}  // namespace

kj::Promise<Dialed> UvDial(UvEventPort& port, std::string_view address, absl::Duration limit) {
  absl::StatusOr<SocketAddress> parsed = SocketAddress::Parse(address);
  if (!parsed.ok()) {
    return Dialed{DialOutcome::kLocalFailure, {}, std::string(parsed.status().message())};
  }
  return kj::newAdaptedPromise<Dialed, DialOp>(port, *parsed, limit);
}

}  // namespace troupe
