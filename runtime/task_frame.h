// TaskFrame: the promise object of a Task's coroutine, inside the coroutine's frame.
//
// It is the kj::PromiseNode that the Task owns and the kj Event that resumes the coroutine when
// what it awaits is ready; disposing of it destroys the frame. A frame is never destroyed while it
// runs: whoever drops it then marks it, and the event loop destroys it once it has suspended.
//
// Threads: the event loop it was made on. Depends on kj::_, checked against 0.9.2 and 1.1.0.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "kj/async.h"
#include "kj/exception.h"
#include "kj/memory.h"
#include "troupe/runtime/kj_version.h"

namespace troupe {

template <typename T>
class Task;
template <typename T>
class NamedTask;
template <typename T>
class Outcome;

namespace internal {

template <typename T>
struct SettledPromise {
  OwnPromiseNode node;
  ~SettledPromise() noexcept {}
};

struct [[nodiscard]] TaskFailure {
  kj::Exception exception;
  ~TaskFailure() noexcept {}
};

class TaskFrameBase;

// The promise being awaited and the room for its result; lives in the frame across the wait.
class AwaitedNode {
 public:
  AwaitedNode(OwnPromiseNode node, kj::_::ExceptionOrValue& result);
  AwaitedNode(const AwaitedNode&) = delete;
  AwaitedNode& operator=(const AwaitedNode&) = delete;
  ~AwaitedNode() noexcept {}

  void Wait(TaskFrameBase& frame) noexcept;
  void TakeResult() noexcept;
  void Trace(kj::_::TraceBuilder& builder, bool stop_at_next_event);

 private:
  OwnPromiseNode node_;
  kj::_::ExceptionOrValue& result_;
};

class TaskFrameBase : public FrameNode, public FrameEvent {
 public:
  TaskFrameBase(std::coroutine_handle<> handle, kj::_::ExceptionOrValue& result)
      : handle_(handle), result_(result) {}
  ~TaskFrameBase() noexcept {}

  std::suspend_never initial_suspend() noexcept { return {}; }
  auto final_suspend() noexcept {
    on_ready_.arm();
    return std::suspend_always{};
  }
  // Called while the exception is being handled.
  void unhandled_exception() noexcept;

  // What the coroutine now waits for; it resumes when that is ready.
  void Await(AwaitedNode& awaited) noexcept { awaited_ = &awaited; }
  // Ends the task where it stands; it is suspended for good.
  void EndWith(kj::Exception&& exception) noexcept;
  OwnPromiseNode Owned();
  // When its owner has dropped it.
  void destroy() final;

  void onReady(kj::_::Event* event) noexcept override { on_ready_.init(event); }
  void tracePromise(kj::_::TraceBuilder& builder, bool stop_at_next_event) override;
  void traceEvent(kj::_::TraceBuilder& builder) override;

 protected:
  kj::Maybe<kj::Own<kj::_::Event>> fire() override;

 private:
  class FrameDisposer;

  std::coroutine_handle<> handle_;
  kj::_::ExceptionOrValue& result_;
  AwaitedNode* awaited_ = nullptr;
  OnReadyEvent on_ready_;
  bool running_ = false;
  bool dropped_while_running_ = false;
};

// Shared by Awaiter and SettledAwaiter: waits for `node`, result in result_.
template <typename T>
class AwaiterBase {
 public:
  AwaiterBase(TaskFrameBase& frame, OwnPromiseNode node)
      : frame_(frame), awaited_(kj::mv(node), result_) {}
  ~AwaiterBase() noexcept {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept { awaited_.Wait(frame_); }

 protected:
  kj::_::ExceptionOr<kj::_::FixVoid<T>> result_;

 private:
  TaskFrameBase& frame_;
  AwaitedNode awaited_;
};

template <typename T>
class Awaiter : public AwaiterBase<T> {
 public:
  using AwaiterBase<T>::AwaiterBase;
  T await_resume() { return kj::_::convertToReturn(kj::mv(this->result_)); }
};

template <typename T>
class SettledAwaiter : public AwaiterBase<T> {
 public:
  using AwaiterBase<T>::AwaiterBase;
  Outcome<T> await_resume() { return Outcome<T>(kj::mv(this->result_)); }
};

class FailureAwaiter {
 public:
  FailureAwaiter(TaskFrameBase& frame, kj::Exception&& exception)
      : frame_(frame), exception_(kj::mv(exception)) {}
  ~FailureAwaiter() noexcept {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept { frame_.EndWith(kj::mv(exception_)); }
  void await_resume() const noexcept {}

 private:
  TaskFrameBase& frame_;
  kj::Exception exception_;
};

template <typename>
inline constexpr bool kNever = false;

// What may be awaited inside a Task.
class TaskFrameAwaits : public TaskFrameBase {
 public:
  using TaskFrameBase::TaskFrameBase;

  template <typename U>
  Awaiter<U> await_transform(kj::Promise<U>&& promise) {
    return {*this, PromiseNode::from(kj::mv(promise))};
  }
  template <typename U>
  Awaiter<U> await_transform(kj::Promise<U>& promise) {
    return await_transform(kj::mv(promise));
  }
  template <typename U>
  Awaiter<U> await_transform(Task<U>&& task) {
    return await_transform(kj::mv(task).AsPromise());
  }
  template <typename U>
  Awaiter<U> await_transform(NamedTask<U>&& task) {
    static_assert(kNever<U>,
                  "name what is given a lambda: auto done = F([] {...}); co_await done;");
    return await_transform(kj::mv(task).AsPromise());
  }
  template <typename U>
  Awaiter<U> await_transform(Task<U>& task) {
    return await_transform(kj::mv(task));
  }
  template <typename U>
  Awaiter<U> await_transform(kj::ForkedPromise<U>& forked) {
    return await_transform(forked.addBranch());
  }
  template <typename U>
  SettledAwaiter<U> await_transform(SettledPromise<U>&& settled) {
    return {*this, kj::mv(settled.node)};
  }
  FailureAwaiter await_transform(TaskFailure&& failure) {
    return {*this, kj::mv(failure.exception)};
  }
};

template <typename T>
class TaskFrame final : public TaskFrameAwaits {
 public:
  TaskFrame() : TaskFrameAwaits(std::coroutine_handle<TaskFrame>::from_promise(*this), result_) {}
  ~TaskFrame() noexcept {}

  Task<T> get_return_object() { return Task<T>(Owned()); }
  template <typename U = T>
  void return_value(U&& value) {
    result_.value = T(std::forward<U>(value));
  }
  void get(kj::_::ExceptionOrValue& output) noexcept override { output.as<T>() = kj::mv(result_); }

 private:
  kj::_::ExceptionOr<T> result_;
};

template <>
class TaskFrame<void> final : public TaskFrameAwaits {
 public:
  TaskFrame() : TaskFrameAwaits(std::coroutine_handle<TaskFrame>::from_promise(*this), result_) {}
  ~TaskFrame() noexcept {}

  inline Task<void> get_return_object();
  void return_void() { result_.value = kj::_::Void(); }
  void get(kj::_::ExceptionOrValue& output) noexcept override {
    output.as<kj::_::Void>() = kj::mv(result_);
  }

 private:
  kj::_::ExceptionOr<kj::_::Void> result_;
};

}  // namespace internal
}  // namespace troupe
