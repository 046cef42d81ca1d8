// OrderActor and MeterActor: the actors that docs/guide shows. What is quoted there must be here.
#pragma once

#include <string>

#include "guide.troupe.h"
#include "kj/debug.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/log.h"

namespace guide {

class OrderActor final : public Order::Actor {
  Task<void> Place(std::string item) override {
    KJ_REQUIRE(item_.empty(), "this order was placed before");
    item_ = item;
    context().SetReminder("expire", {.after = absl::Hours(24)});
    co_return;
  }

  Task<void> OnReminder(const troupe::DueReminder& reminder) override {
    if (reminder.name == "expire") context().Erase();
    co_return;
  }

  Task<void> Cancel() override {
    context().Erase();
    co_return;
  }

  Task<std::string> Item() override { co_return item_; }
  void Save(OrderState::Builder out) const override { out.setItem(item_); }
  void Load(OrderState::Reader in) override { item_ = in.getItem().cStr(); }
  std::string item_;
};

class MeterActor final : public Meter::Actor {
  Task<void> OnActivate() override {
    context().SetReminder("nightly",
                          {.every = absl::Hours(24), .catch_up = troupe::CatchUp::kSkip});
    report_ = context().StartTimer({.every = absl::Seconds(10)}, [this] {
      context().log().Info("meter", {{"key", context().key()}, {"average", average_}});
    });
    co_return;
  }

  Task<void> OnDeactivate() override {
    context().log().Info("meter rests", {{"key", context().key()}});
    co_return;
  }

  Task<void> OnReminder(const troupe::DueReminder&) override {
    sum_ = count_ = average_ = 0;
    co_return;
  }

  Task<void> Measure(uint64_t value) override {
    sum_ += value;
    average_ = sum_ / ++count_;
    co_return;
  }
  Task<uint64_t> Average() override { co_return average_; }
  Task<void> Close() override {
    context().Deactivate();
    co_return;
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

inline void HostOfAHigherVersion(troupe::Registry& registry) {
  registry.Host<MeterActor>({.state_version = 1});
}

}  // namespace guide
