// A user's actor.
#pragma once

#include "ticket.troupe.h"

class CounterActor final : public shop::Counter::Actor {
  Task<uint64_t> Draw() override { co_return ++last_; }
  void Save(shop::CounterState::Builder out) const override { out.setLast(last_); }
  void Load(shop::CounterState::Reader in) override { last_ = in.getLast(); }
  uint64_t last_ = 0;
};
