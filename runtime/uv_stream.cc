#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "kj/debug.h"
#include "kj/vector.h"
#include "troupe/runtime/internal/uv_stream.h"

namespace troupe {

namespace {
constexpr size_t kPiecesPerCall = 64;  // Larger writes take several system calls.
}  // namespace

// A read that waits. The stream forgets it before it ends, it tells the stream when it is dropped.
class UvStream::ReadOp {
 public:
  ReadOp(kj::PromiseFulfiller<size_t>& result, UvStream& stream, Reading reading)
      : result(result), reading(reading), stream_(&stream) {
    stream.reader_ = this;
  }
  ~ReadOp() {
    if (stream_ != nullptr) stream_->reader_ = nullptr;
  }
  void Detach() {
    stream_->reader_ = nullptr;
    stream_ = nullptr;
  }

  kj::PromiseFulfiller<size_t>& result;
  Reading reading;

 private:
  UvStream* stream_;
};

class UvStream::WriteOp {
 public:
  WriteOp(kj::PromiseFulfiller<void>& result, UvStream& stream, Writing writing)
      : result(result),
        rest_(kj::heapArray<kj::ArrayPtr<const kj::byte>>(writing.rest)),
        writing{writing.first, rest_},
        stream_(&stream) {
    stream.writer_ = this;
  }
  ~WriteOp() {
    if (stream_ != nullptr) stream_->writer_ = nullptr;
  }
  void Detach() {
    stream_->writer_ = nullptr;
    stream_ = nullptr;
  }

  kj::PromiseFulfiller<void>& result;

 private:
  kj::Array<kj::ArrayPtr<const kj::byte>> rest_;  // Our own: the caller's list may be gone by now.

 public:
  Writing writing;

 private:
  UvStream* stream_;
};

UvStream::UvStream(UvEventPort& port, OwnFd fd)
    : fd_(kj::mv(fd)), watcher_(kj::heap<FdWatcher>(port, fd_.get(), *this)) {
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // Refused by Unix sockets.
}

UvStream::~UvStream() noexcept(false) {
  watcher_ = nullptr;
  if (ReadOp* op = reader_) {
    op->Detach();
    op->result.reject(Disconnected("stream dropped while reading", ECANCELED));
  }
  if (WriteOp* op = writer_) {
    op->Detach();
    op->result.reject(Disconnected("stream dropped while writing", ECANCELED));
  }
}

OwnFd UvStream::Release() {
  KJ_REQUIRE(reader_ == nullptr && writer_ == nullptr, "a read or write is under way");
  watcher_ = nullptr;
  return kj::mv(fd_);
}

kj::Promise<size_t> UvStream::tryRead(void* buffer, size_t min_bytes, size_t max_bytes) {
  KJ_REQUIRE(reader_ == nullptr, "one read at a time");
  if (max_bytes == 0) return size_t{0};
  Reading reading{static_cast<kj::byte*>(buffer), 0, std::max<size_t>(min_bytes, 1), max_bytes};
  switch (drained_ ? Progress::kBlocked : ReadSome(reading)) {
    case Progress::kDone:
      return reading.have;
    case Progress::kFailed:
      return Disconnected("read", errno);
    case Progress::kBlocked:
      break;
  }
  watcher_->Watch(watcher_->watched() | FdWatcher::kReadable);
  return kj::newAdaptedPromise<size_t, ReadOp>(*this, reading);
}

UvStream::Progress UvStream::ReadSome(Reading& reading) {
  while (true) {
    const size_t room = reading.max - reading.have;
    ssize_t n = Retrying([&] { return ::recv(fd_.get(), reading.buffer + reading.have, room, 0); });
    if (n < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) return Progress::kFailed;
      drained_ = true;
      return Progress::kBlocked;
    }
    drained_ = n != 0 && static_cast<size_t>(n) < room;
    reading.have += static_cast<size_t>(n);
    if (n == 0 || reading.have >= reading.min) return Progress::kDone;
    if (drained_) return Progress::kBlocked;
  }
}

kj::Promise<void> UvStream::write(const void* buffer, size_t size) {
  return StartWrite({kj::arrayPtr(static_cast<const kj::byte*>(buffer), size), nullptr});
}

kj::Promise<void> UvStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  return StartWrite({nullptr, pieces});
}

kj::Promise<void> UvStream::StartWrite(Writing writing) {
  KJ_REQUIRE(writer_ == nullptr, "one write at a time");
  switch (WriteSome(writing)) {
    case Progress::kDone:
      return kj::READY_NOW;
    case Progress::kFailed:
      return Disconnected("write", errno);
    case Progress::kBlocked:
      break;
  }
  watcher_->Watch(watcher_->watched() | FdWatcher::kWritable);
  return kj::newAdaptedPromise<void, WriteOp>(*this, writing);
}

UvStream::Progress UvStream::WriteSome(Writing& writing) {
  while (true) {
    iovec parts[kPiecesPerCall];
    size_t count = 0, taken = 0, total = 0;
    auto add = [&](kj::ArrayPtr<const kj::byte> piece) {
      if (piece.size() == 0) return;
      parts[count++] = {const_cast<kj::byte*>(piece.begin()), piece.size()};
      total += piece.size();
    };
    add(writing.first);
    while (taken < writing.rest.size() && count < kPiecesPerCall) add(writing.rest[taken++]);
    if (count == 0) return Progress::kDone;

    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    ssize_t n = Retrying([&] { return ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL); });
    if (n < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::kBlocked : Progress::kFailed;
    }
    size_t sent = static_cast<size_t>(n);
    if (sent == total) {
      writing = {nullptr, writing.rest.slice(taken, writing.rest.size())};
      continue;
    }
    // A short count: the socket is full. Find where it stopped.
    while (sent >= writing.first.size()) {
      sent -= writing.first.size();
      writing.first = writing.rest[0];
      writing.rest = writing.rest.slice(1, writing.rest.size());
    }
    writing.first = writing.first.slice(sent, writing.first.size());
    return Progress::kBlocked;
  }
}

void UvStream::OnFdReady(unsigned events) {
  unsigned unwanted = FdWatcher::kNone;
  if (events & FdWatcher::kReadable) {
    drained_ = false;
    if (reader_ != nullptr) {
      ContinueRead();  // Interest stays: most readers come back in the same turn.
    } else {
      unwanted |= FdWatcher::kReadable;
    }
  }
  if (events & FdWatcher::kWritable) {
    if (writer_ != nullptr) ContinueWrite();
    if (writer_ == nullptr) unwanted |= FdWatcher::kWritable;
  }
  if (hang_up_.get() != nullptr) CheckHangUp();
  if (hang_up_.get() == nullptr) unwanted |= FdWatcher::kHangUp;

  // An error took all interest away; who still waits needs it back.
  unsigned wanted = watcher_->watched() & ~unwanted;
  if (reader_ != nullptr) wanted |= FdWatcher::kReadable;
  if (writer_ != nullptr) wanted |= FdWatcher::kWritable;
  if (hang_up_.get() != nullptr) wanted |= FdWatcher::kHangUp;
  watcher_->Watch(wanted);
}

void UvStream::ContinueRead() {
  ReadOp* op = reader_;
  Progress progress = ReadSome(op->reading);
  if (progress == Progress::kBlocked) return;
  const int error = errno;
  op->Detach();
  if (progress == Progress::kDone) {
    op->result.fulfill(kj::cp(op->reading.have));
  } else {
    op->result.reject(Disconnected("read", error));
  }
}

void UvStream::ContinueWrite() {
  WriteOp* op = writer_;
  Progress progress = WriteSome(op->writing);
  if (progress == Progress::kBlocked) return;
  const int error = errno;
  op->Detach();
  if (progress == Progress::kDone) {
    op->result.fulfill();
  } else {
    op->result.reject(Disconnected("write", error));
  }
}

void UvStream::CheckHangUp() {
  pollfd state{fd_.get(), 0, 0};
  if (::poll(&state, 1, 0) <= 0 || (state.revents & (POLLHUP | POLLERR)) == 0) return;
  hang_up_->fulfill();
  hang_up_ = nullptr;
}

kj::Promise<void> UvStream::whenWriteDisconnected() {
  if (hang_up_promise_ == nullptr) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    hang_up_ = kj::mv(paf.fulfiller);
    hang_up_promise_ = paf.promise.fork();
    watcher_->Watch(watcher_->watched() | FdWatcher::kHangUp);
  }
  return KJ_ASSERT_NONNULL(hang_up_promise_).addBranch();
}

void UvStream::shutdownWrite() { ::shutdown(fd_.get(), SHUT_WR); }

void UvStream::abortRead() { ::shutdown(fd_.get(), SHUT_RD); }

void UvStream::getsockopt(int level, int option, void* value, kj::uint* length) {
  socklen_t size = *length;
  KJ_SYSCALL(::getsockopt(fd_.get(), level, option, value, &size));
  *length = size;
}

void UvStream::setsockopt(int level, int option, const void* value, kj::uint length) {
  KJ_SYSCALL(::setsockopt(fd_.get(), level, option, value, length));
}

void UvStream::getsockname(sockaddr* address, kj::uint* length) {
  socklen_t size = *length;
  KJ_SYSCALL(::getsockname(fd_.get(), address, &size));
  *length = size;
}

void UvStream::getpeername(sockaddr* address, kj::uint* length) {
  socklen_t size = *length;
  KJ_SYSCALL(::getpeername(fd_.get(), address, &size));
  *length = size;
}

}  // namespace troupe
