// UvStream: a connected socket as a kj::AsyncIoStream on a UvEventPort.
//
// Reads go straight into the caller's buffer. One read and one write at a time. Dropping a promise
// cancels it safely; bytes that a cancelled read had taken, or a cancelled write had sent, are
// gone. Errors: the end of the connection by fault is DISCONNECTED.
#pragma once

#include "kj/array.h"
#include "kj/async-io.h"
#include "kj/async.h"
#include "troupe/runtime/fd_watcher.h"
#include "troupe/runtime/internal/posix.h"

namespace troupe {

class UvStream final : public kj::AsyncIoStream, public FdWatcher::Observer {
 public:
  UvStream(UvEventPort& port, OwnFd fd);
  ~UvStream() noexcept(false);

  // Gives the descriptor away; the stream is then of no more use.
  OwnFd Release();

  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override;
  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override;
  void shutdownWrite() override;
  void abortRead() override;
  void getsockopt(int level, int option, void* value, kj::uint* length) override;
  void setsockopt(int level, int option, const void* value, kj::uint length) override;
  void getsockname(sockaddr* address, kj::uint* length) override;
  void getpeername(sockaddr* address, kj::uint* length) override;
  kj::Maybe<int> getFd() const override { return fd_.get(); }

 private:
  enum class Progress { kDone, kBlocked, kFailed };  // kFailed: the reason is in errno.
  struct Reading {
    kj::byte* buffer;
    size_t have, min, max;
  };
  struct Writing {
    kj::ArrayPtr<const kj::byte> first;  // What is left of the piece under way.
    kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> rest;
  };
  class ReadOp;
  class WriteOp;

  Progress ReadSome(Reading& reading);
  Progress WriteSome(Writing& writing);
  kj::Promise<void> StartWrite(Writing writing);
  void ContinueRead();
  void ContinueWrite();
  void CheckHangUp();
  void OnFdReady(unsigned events) override;

  OwnFd fd_;
  kj::Own<FdWatcher> watcher_;
  ReadOp* reader_ = nullptr;
  WriteOp* writer_ = nullptr;
  bool drained_ = false;  // The last read took all there was: wait for an event before the next.
  kj::Own<kj::PromiseFulfiller<void>> hang_up_;  // Set while somebody waits for the hang-up.
  kj::Maybe<kj::ForkedPromise<void>> hang_up_promise_;
};

}  // namespace troupe
