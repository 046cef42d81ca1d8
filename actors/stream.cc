#include "troupe/actors/stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/generated.h"
#include "troupe/rpc/status.h"

namespace troupe {

Stream::Stream(const AnyRef& to, StreamOptions options)
    : to_(to), options_(options), tasks_(errors_) {
  if (options.calls < 1 || options.calls > kStreamCallsMax || options.bytes < 1 ||
      options.bytes > kStreamBytesMax) {
    kj::throwFatalException(Failed(absl::StrCat(
        "the window of a stream is ", options.calls, " calls and ", options.bytes,
        " bytes; it has 1 to ", kStreamCallsMax, " calls and 1 to ", kStreamBytesMax, " bytes")));
  }
}

Stream::~Stream() noexcept {}

kj::Own<OutCall> Stream::NewStreamCall(uint64_t interface_id, uint16_t method_id,
                                       absl::Duration deadline) {
  return kj::heap<OutCall>(to_, interface_id, method_id, deadline);
}

kj::Exception Stream::Misused() const {
  return Failed(absl::StrCat("a stream to ", to_.id().ToString(),
                             " is waited for already: await each Write() and Done() before the "
                             "next"));
}

bool Stream::HasRoom(size_t bytes) const {
  return calls_ == 0 || (calls_ < options_.calls && bytes_ + bytes <= options_.bytes);
}

Task<void> Stream::SendStreamCall(kj::Own<OutCall> call) {
  if (waiting()) return kj::Promise<void>(Misused());
  KJ_IF_MAYBE (e, error_) return kj::Promise<void>(kj::cp(*e));
  next_ = nullptr;  // Of one that was dropped.
  if (HasRoom(call->size_bytes())) {
    Launch(kj::mv(call));
    return kj::READY_NOW;
  }
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiter_ = kj::mv(paf.fulfiller);
  next_ = kj::mv(call);
  return kj::mv(paf.promise);
}

Task<void> Stream::Done() {
  if (waiting()) return kj::Promise<void>(Misused());
  next_ = nullptr;
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiter_ = kj::mv(paf.fulfiller);
  Proceed();
  return kj::mv(paf.promise);
}

void Stream::Launch(kj::Own<OutCall> call) {
  const size_t bytes = call->size_bytes();
  ++calls_;
  bytes_ += bytes;
  tasks_.add(
      call->Send().AsPromise().then([this, bytes] { Ended(bytes, nullptr); },
                                    [this, bytes](kj::Exception&& e) { Ended(bytes, kj::mv(e)); }));
}

void Stream::Ended(size_t bytes, kj::Maybe<kj::Exception> failure) {
  --calls_;
  bytes_ -= bytes;
  if (error_ == nullptr) error_ = kj::mv(failure);
  if (waiting()) Proceed();
}

// Whoever waits goes on, if it can.
void Stream::Proceed() {
  const bool writes = next_.get() != nullptr;
  if (writes && error_ == nullptr) {
    if (!HasRoom(next_->size_bytes())) return;
    Launch(kj::mv(next_));
  } else if (!writes && calls_ > 0) {
    return;
  }
  auto waiter = kj::mv(waiter_);
  next_ = nullptr;
  KJ_IF_MAYBE (e, error_) {
    waiter->reject(kj::cp(*e));
  } else {
    waiter->fulfill();
  }
}

}  // namespace troupe
