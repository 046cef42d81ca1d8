// Task<T>: what a coroutine returns; one owner's handle to a computation under way.
//
//   Task<size_t> Total(kj::Promise<size_t> a, Task<size_t> b) {
//     auto first = co_await a;
//     co_return first + co_await b;
//   }
//
// A coroutine starts at once and runs until it first waits. Dropping the Task, or the kj::Promise
// made from it, cancels: locals and the awaited promise are destroyed where the coroutine stands.
// A coroutine that drops itself runs on to its next co_await and ends there. What is thrown inside
// arrives at the awaiting side as a kj::Exception.
//
// Awaited can be kj::Promise, Task, kj::ForkedPromise (one branch of it); an lvalue is consumed.
// Settled(p) awaits without throwing, Fail(e) ends the task with an error without throwing: a throw
// costs 12-17 us, these a tenth of one. Write `auto p = F(); auto r = co_await p;`, named also
// where r is a capnp::Response or kj::Own that nobody uses, and take kj types by reference, moved
// to a local: the form that every compiler accepts (g++ 14 fails on others).
//
// g++ 12 miscompiles `c ? co_await x : y` where the value is a class (std::string): write an `if`.
//
// A lambda's captures are not part of the coroutine: keep the lambda alive, or use StartTask().
//
// Threads: belongs to the KJ event loop it was made on. Errors: a destructor of a local that throws
// during cancellation ends the process.
//
// Why not kj::Promise<T> itself: g++ 12 cannot compile a coroutine whose return type has a
// destructor that may throw (GCC bug 102051).
#pragma once

#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kj/async.h"
#include "kj/common.h"
#include "kj/debug.h"
#include "kj/exception.h"
#include "kj/memory.h"
#include "troupe/runtime/task_frame.h"

namespace troupe {

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskFrame<T>;

  Task(decltype(kj::READY_NOW) now) requires std::is_void_v<T> : Task(kj::Promise<void>(now)) {}
  Task(kj::Promise<T>&& promise) : node_(kj::_::PromiseNode::from(kj::mv(promise))) {}
  Task(Task&&) noexcept = default;
  Task& operator=(Task&&) = default;
  ~Task() noexcept {}

  operator kj::Promise<T>() && { return kj::_::PromiseNode::to<kj::Promise<T>>(kj::mv(node_)); }
  kj::Promise<T> AsPromise() && { return kj::mv(*this); }

  // Runs the loop until done; only from outside of it, as kj::Promise::wait(). Consumes the task.
  T Wait(kj::WaitScope& scope) { return kj::mv(*this).AsPromise().wait(scope); }

 private:
  friend class internal::TaskFrame<T>;
  explicit Task(internal::OwnPromiseNode node) : node_(kj::mv(node)) {}
  internal::OwnPromiseNode node_;
};

// The Task of a function that is given a lambda. It is named before it is awaited,
//
//   auto dug = context().Offload([depth] { return Ore(depth); });
//   co_await dug;
//
// for in `co_await context().Offload([text] {...})` g++ 12 destroys the captures of the lambda
// twice (GCC bug 99576), which nothing shows until the program crashes. As one expression it does
// not compile.
template <typename T>
class [[nodiscard]] NamedTask : public Task<T> {
 public:
  NamedTask(Task<T>&& task) : Task<T>(kj::mv(task)) {}
  NamedTask(kj::Promise<T>&& promise) : Task<T>(kj::mv(promise)) {}
};

template <typename T>
Task<T> AsTask(kj::Promise<T>&& promise) {
  return Task<T>(kj::mv(promise));
}

// What became of a promise: a value or an exception.
template <typename T>
class Outcome {
 public:
  explicit Outcome(kj::_::ExceptionOr<kj::_::FixVoid<T>>&& result) : result_(kj::mv(result)) {}
  Outcome(Outcome&&) = default;
  Outcome& operator=(Outcome&&) = default;
  ~Outcome() noexcept {}

  bool ok() const { return result_.exception == nullptr; }
  // Only when ok().
  kj::_::FixVoid<T>& value() {
    return KJ_REQUIRE_NONNULL(result_.value, "the outcome is an error");
  }
  // Only when not ok().
  kj::Exception& exception() {
    return KJ_REQUIRE_NONNULL(result_.exception, "the outcome is a value");
  }

 private:
  kj::_::ExceptionOr<kj::_::FixVoid<T>> result_;
};

// Outcome<T> r = co_await Settled(promise);
template <typename T>
internal::SettledPromise<T> Settled(kj::Promise<T>&& promise) {
  return internal::SettledPromise<T>{kj::_::PromiseNode::from(kj::mv(promise))};
}
template <typename T>
internal::SettledPromise<T> Settled(kj::Promise<T>& promise) {
  return Settled(kj::mv(promise));
}
template <typename T>
internal::SettledPromise<T> Settled(Task<T>&& task) {
  return Settled(kj::mv(task).AsPromise());
}
template <typename T>
internal::SettledPromise<T> Settled(Task<T>& task) {
  return Settled(kj::mv(task));
}
template <typename T>
internal::SettledPromise<T> Settled(NamedTask<T>&& task) {
  static_assert(internal::kNever<T>,
                "name what is given a lambda: auto done = F([] {...}); then "
                "co_await Settled(done);");
  return Settled(kj::mv(task).AsPromise());
}

inline Task<void> internal::TaskFrame<void>::get_return_object() { return Task<void>(Owned()); }

// co_await Fail("sold out"): the task ends here with this error; nothing after it runs.
inline internal::TaskFailure Fail(kj::Exception&& exception) {
  return internal::TaskFailure{kj::mv(exception)};
}
// The type is the advice to the caller: FAILED report, OVERLOADED retry later, DISCONNECTED retry
// elsewhere, UNIMPLEMENTED give up.
inline internal::TaskFailure Fail(kj::Exception::Type type, std::string_view text,
                                  std::source_location at = std::source_location::current()) {
  return Fail(kj::Exception(type, at.file_name(), static_cast<int>(at.line()),
                            kj::heapString(text.data(), text.size())));
}
inline internal::TaskFailure Fail(std::string_view text,
                                  std::source_location at = std::source_location::current()) {
  return Fail(kj::Exception::Type::FAILED, text, at);
}

// Calls `make`, a function object returning a Task, and keeps it alive as long as its Task.
template <typename Make>
auto StartTask(Make&& make) -> std::invoke_result_t<std::decay_t<Make>&> {
  auto kept = kj::heap<std::decay_t<Make>>(kj::fwd<Make>(make));
  auto promise = (*kept)().AsPromise();
  return promise.attach(kj::mv(kept));
}

}  // namespace troupe
