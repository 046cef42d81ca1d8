#include "troupe/runtime/task.h"

namespace troupe::internal {

AwaitedNode::AwaitedNode(OwnPromiseNode node, kj::_::ExceptionOrValue& result)
    : node_(kj::mv(node)), result_(result) {
  node_->setSelfPointer(&node_);
}

void AwaitedNode::Wait(TaskFrameBase& frame) noexcept {
  frame.Await(*this);
  node_->onReady(&frame);
}

void AwaitedNode::TakeResult() noexcept {
  node_->get(result_);
  // Dropped before the coroutine goes on, so that what the promise held is free by then.
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([this]() { node_ = nullptr; })) {
    result_.addException(kj::mv(*exception));
  }
}

void AwaitedNode::Trace(kj::_::TraceBuilder& builder, bool stop_at_next_event) {
  if (node_.get() != nullptr) node_->tracePromise(builder, stop_at_next_event);
}

class TaskFrameBase::FrameDisposer final : public kj::Disposer {
 public:
  static const FrameDisposer& Instance() {
    static const FrameDisposer instance;
    return instance;
  }

 protected:
  void disposeImpl(void* pointer) const override {
    // kj passes the address of the complete object. TaskFrame<T> derives from TaskFrameBase by
    // single inheritance all along, so its base is at the same address.
    static_cast<TaskFrameBase*>(pointer)->destroy();
  }
};

OwnPromiseNode TaskFrameBase::Owned() { return OwnNode(*this, FrameDisposer::Instance()); }

void TaskFrameBase::destroy() {
  if (running_) {
    dropped_while_running_ = true;
    on_ready_.init(nullptr);  // Who waited for it may be gone.
  } else {
    handle_.destroy();
  }
}

void TaskFrameBase::unhandled_exception() noexcept {
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([]() { throw; })) {
    result_.addException(kj::mv(*exception));
  }
}

void TaskFrameBase::EndWith(kj::Exception&& exception) noexcept {
  result_.addException(kj::mv(exception));
  on_ready_.arm();
}

kj::Maybe<kj::Own<kj::_::Event>> TaskFrameBase::fire() {
  // Taking the result runs the continuations of the awaited promise, which too may drop this task.
  running_ = true;
  std::exchange(awaited_, nullptr)->TakeResult();
  if (!dropped_while_running_) handle_.resume();
  running_ = false;
  if (!dropped_while_running_) return nullptr;
  return kj::Own<kj::_::Event>(this, FrameDisposer::Instance());
}

void TaskFrameBase::tracePromise(kj::_::TraceBuilder& builder, bool stop_at_next_event) {
  if (stop_at_next_event) return;
  if (awaited_ != nullptr) awaited_->Trace(builder, false);
  builder.add(*static_cast<void**>(handle_.address()));  // The resume function.
}

void TaskFrameBase::traceEvent(kj::_::TraceBuilder& builder) {
  if (awaited_ != nullptr) awaited_->Trace(builder, true);
  builder.add(*static_cast<void**>(handle_.address()));
  on_ready_.traceEvent(builder);
}

}  // namespace troupe::internal
