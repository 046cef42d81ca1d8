// CounterActor: what the tests of whole clusters count with.
#pragma once

#include "counter.capnp.h"
#include "kj/timer.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/task.h"

namespace troupe {

class CounterActor final : public Actor<Counter, CounterState> {
 public:
  explicit CounterActor(kj::Timer* timer = nullptr) : timer_(timer) {}

 private:
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> get(GetContext call) override {
    call.getResults().setValue(value_);
    return kj::READY_NOW;
  }
  kj::Promise<void> fail(FailContext call) override {
    value_ += 1000;
    return KJ_EXCEPTION(FAILED, "told to fail", call.getParams().getText());
  }
  kj::Promise<void> addTo(AddToContext call) override { return AddTo(call); }
  Task<void> AddTo(AddToContext call) {
    const uint64_t by = call.getParams().getBy();
    value_ += by;
    auto other = context().Get<Counter>(call.getParams().getOther().cStr());
    auto request = other.addRequest();
    request.setBy(by);
    auto sent = request.send();
    auto reply = co_await sent;
    call.getResults().setValue(value_);
    call.getResults().setOthers(reply.getValue());
  }
  kj::Promise<void> wait(WaitContext call) override {
    return timer_->afterDelay(call.getParams().getMilliseconds() * kj::MILLISECONDS);
  }
  kj::Promise<void> never(NeverContext) override { return kj::NEVER_DONE; }
  kj::Promise<void> big(BigContext call) override {
    call.getResults().initData(static_cast<unsigned>(call.getParams().getBytes()));
    return kj::READY_NOW;
  }
  kj::Promise<void> grow(GrowContext call) override {
    ballast_ = call.getParams().getBytes();
    return kj::READY_NOW;
  }
  kj::Promise<void> askItself(AskItselfContext call) override {
    return thisCap().getRequest().send().then(
        [call](auto&& reply) mutable { call.getResults().setValue(reply.getValue()); });
  }
  void Save(CounterState::Builder out) const override {
    out.setValue(value_);
    if (ballast_ > 0) out.initBallast(static_cast<unsigned>(ballast_));
  }
  void Load(CounterState::Reader in) override {
    value_ = in.getValue();
    ballast_ = in.getBallast().size();
  }

  kj::Timer* timer_;
  uint64_t value_ = 0;
  uint64_t ballast_ = 0;
};

inline ActorId CounterId(const std::string& key) { return {capnp::typeId<Counter>(), key}; }

}  // namespace troupe
