// Awaiting: the ways in which a test waits for a call. Harness and LocalNode derive from it.
//
// Self has TryAwait(promise, limit), which gives nothing when the limit has passed, kAwaitLimit,
// and ThrowStillWaiting(limit).
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe::testing {

template <typename Self>
class Awaiting {
 public:
  // Waits while time passes. Throws what the promise is rejected with; and when `limit` has passed,
  // which tells what goes on.
  template <typename T>
  T Await(kj::Promise<T> promise, absl::Duration limit = Self::kAwaitLimit) {
    auto value = self().TryAwait(kj::mv(promise), limit);
    if (!value) self().ThrowStillWaiting(limit);
    return std::move(*value);
  }
  void Await(kj::Promise<void> promise, absl::Duration limit = Self::kAwaitLimit) {
    Await(promise.then([] { return true; }), limit);
  }
  template <typename T>
  T Await(Task<T> task, absl::Duration limit = Self::kAwaitLimit) {
    return Await(kj::mv(task).AsPromise(), limit);
  }

  // The error, in the words of who threw it. "(no error)" if there was none.
  template <typename Awaitable>
  std::string Fails(Awaitable call) {
    auto error = Error(kj::mv(call));
    return error ? Words(*error) : "(no error)";
  }
  // The same, whole: with its type, which is the advice to the caller (rpc/status.h).
  template <typename T>
  std::optional<kj::Exception> Error(kj::Promise<T> promise) {
    using Maybe = std::optional<kj::Exception>;
    return Await(promise.then([](auto&&...) -> Maybe { return std::nullopt; },
                              [](kj::Exception&& e) -> Maybe { return kj::mv(e); }));
  }
  template <typename T>
  std::optional<kj::Exception> Error(Task<T> task) {
    return Error(kj::mv(task).AsPromise());
  }

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace troupe::testing
