// Stream: calls of `-> stream` methods of one actor, several at a time, in order, in a window.
//
//   Upload::Writer out(file);                                    // Derives from Stream; generated.
//   for (const auto& chunk : chunks) co_await out.Write(chunk);  // Waits while the window is full.
//   co_await out.Done();                                         // All are answered.
//
// Each is a call as any other, made once, under the deadline of its own that begins as it is sent;
// the actor runs them in the order of the Write()s. What is answered makes room in the window, so a
// writer goes on as fast as the actor, or the observer, does.
//
// The first error that comes back is thrown by the Write() that waits, by all later ones, which
// send nothing, and by Done(). What was sent behind the call that failed may have run all the same:
// an actor that must have no gap takes a number with each, and refuses what does not follow.
//
// Single loop. One Write() or Done() at a time: await it before the next. One that is dropped while
// it waits is not sent. A Stream that is dropped ends the waiting: what was sent may run, and
// nobody is told. One that an actor makes in a turn is for that turn.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/actors/any_ref.h"
#include "troupe/runtime/task.h"

namespace troupe {

class OutCall;

inline constexpr size_t kStreamCallsMax = 256;       // What a caller may have open at one actor.
inline constexpr size_t kStreamBytesMax = 64 << 20;  // Leaves room for others of the same process.

// How much may be sent and not answered. The next Write() waits for whichever is met first; one
// that is larger than `bytes` is sent alone.
struct StreamOptions {
  // Of parameters. Enough for 250 MB/s over a round trip of 1 ms.
  size_t bytes = 256 << 10;
  // Leaves room for other calls to the same actor. All of them are to end within one deadline.
  size_t calls = 64;
};

class Stream {
 public:
  // Resolves once all that was sent is answered, or rejects with the first error, then too. The
  // stream goes on after it.
  Task<void> Done();

  // Sent and not answered.
  size_t open_calls() const { return calls_; }
  size_t open_bytes() const { return bytes_; }

 protected:
  // Throws FAILED for a window out of bounds.
  Stream(const AnyRef& to, StreamOptions options);
  ~Stream() noexcept;
  KJ_DISALLOW_COPY(Stream);

  // As for OutCall; then its parameters are written, and it is sent.
  kj::Own<OutCall> NewStreamCall(uint64_t interface_id, uint16_t method_id,
                                 absl::Duration deadline = absl::ZeroDuration());
  Task<void> SendStreamCall(kj::Own<OutCall> call);

 private:
  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&&) override {}  // They are looked at before.
  };

  bool HasRoom(size_t bytes) const;
  void Launch(kj::Own<OutCall> call);
  void Ended(size_t bytes, kj::Maybe<kj::Exception> failure);
  void Proceed();
  bool waiting() { return waiter_.get() != nullptr && waiter_->isWaiting(); }
  kj::Exception Misused() const;

  const AnyRef to_;
  const StreamOptions options_;
  size_t calls_ = 0;
  size_t bytes_ = 0;
  kj::Maybe<kj::Exception> error_;
  // Of the Write() that waits, with its call; or of Done().
  kj::Own<kj::PromiseFulfiller<void>> waiter_;
  kj::Own<OutCall> next_;
  Errors errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
