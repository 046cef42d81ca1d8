// CounterActor: one object counts under one key. Methods run one at a time; what Save writes lives
// on when a node dies.
#pragma once

#include "counter.troupe.h"

class CounterActor final : public Counter::Actor {
  Task<uint64_t> Add(uint64_t by) override {
    KJ_REQUIRE(by > 0, "nothing to add");  // Its caller gets this; nothing has changed.
    co_return value_ += by;
  }
  Task<uint64_t> Value() override { co_return value_; }
  void Save(CounterState::Builder out) const override { out.setValue(value_); }
  void Load(CounterState::Reader in) override { value_ = in.getValue(); }
  uint64_t value_ = 0;
};
