// OrderActor and MeterActor: the actors that docs/guide shows. What is quoted there must be here.
#pragma once

#include <string>

#include "guide.capnp.h"
#include "kj/debug.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/log.h"

namespace guide {

class OrderActor final : public troupe::Actor<Order, OrderState> {
  kj::Promise<void> place(PlaceContext call) override {
    KJ_REQUIRE(item_.empty(), "this order was placed before");
    item_ = call.getParams().getItem().cStr();
    context().SetReminder("expire", {.after = absl::Hours(24)});
    return kj::READY_NOW;
  }

  troupe::Task<void> OnReminder(const troupe::DueReminder& reminder) override {
    if (reminder.name == "expire") context().Erase();
    return kj::READY_NOW;
  }

  kj::Promise<void> cancel(CancelContext) override {
    context().Erase();
    return kj::READY_NOW;
  }

  kj::Promise<void> item(ItemContext call) override {
    call.getResults().setItem(item_);
    return kj::READY_NOW;
  }
  void Save(OrderState::Builder out) const override { out.setItem(item_); }
  void Load(OrderState::Reader in) override { item_ = in.getItem().cStr(); }
  std::string item_;
};

class MeterActor final : public troupe::Actor<Meter, MeterState> {
  troupe::Task<void> OnActivate() override {
    context().SetReminder("nightly",
                          {.every = absl::Hours(24), .catch_up = troupe::CatchUp::kSkip});
    report_ = context().StartTimer({.every = absl::Seconds(10)}, [this] {
      context().log().Info("meter", {{"key", context().key()}, {"average", average_}});
    });
    return kj::READY_NOW;
  }

  troupe::Task<void> OnDeactivate() override {
    context().log().Info("meter rests", {{"key", context().key()}});
    return kj::READY_NOW;
  }

  troupe::Task<void> OnReminder(const troupe::DueReminder&) override {
    sum_ = count_ = average_ = 0;
    return kj::READY_NOW;
  }

  kj::Promise<void> measure(MeasureContext call) override {
    sum_ += call.getParams().getValue();
    average_ = sum_ / ++count_;
    return kj::READY_NOW;
  }
  kj::Promise<void> average(AverageContext call) override {
    call.getResults().setValue(average_);
    return kj::READY_NOW;
  }
  kj::Promise<void> close(CloseContext) override {
    context().Deactivate();
    return kj::READY_NOW;
  }

  void Save(MeterState::Builder out) const override {
    out.setSum(sum_);
    out.setCount(count_);
  }
  void Load(MeterState::Reader in) override {
    sum_ = in.getSum();
    count_ = in.getCount();
    average_ = count_ == 0 ? 0 : sum_ / count_;
  }
  uint64_t sum_ = 0;
  uint64_t count_ = 0;
  uint64_t average_ = 0;  // Not saved: Load() finds it.
  troupe::ActorTimer report_;
};

inline void HostAll(troupe::Registry& registry) {
  registry.Host<OrderActor>({.supervision = {.failures_max = 3, .window = absl::Minutes(5)}});
  registry.Host<MeterActor>({.idle_timeout = absl::Minutes(1)});
}

}  // namespace guide
