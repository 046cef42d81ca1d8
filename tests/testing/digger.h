// DiggerActor: does work that takes long elsewhere, or, for tests of who notices, where it stands.
#pragma once

#include <stdexcept>
#include <thread>

#include "digger.troupe.h"

class DiggerActor final : public Digger::Actor {
  Task<uint64_t> Dig(uint32_t depth) override {
    auto dug = context().Offload([depth] { return Ore(depth); });
    const uint64_t found = co_await dug;
    depth_ += depth;
    co_return found;
  }

  // What takes long; knows nothing of the actor.
  static uint64_t Ore(uint32_t depth) {
    uint64_t ore = 1;
    for (uint32_t i = 0; i < depth; ++i) ore = ore * 6364136223846793005 + 1442695040888963407;
    return ore;
  }

  Task<void> DigHere(uint32_t milliseconds) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    co_return;
  }
  Task<void> DigLater(uint32_t milliseconds, uint32_t rest) override {
    auto pause = context().Sleep(absl::Milliseconds(1));
    co_await pause;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    if (rest == 0) co_return;
    auto after = context().Sleep(absl::Milliseconds(rest));
    co_await after;
  }
  Task<void> BreakSpade() override {
    ++depth_;
    auto broken = context().Offload([] { throw std::runtime_error("the spade broke"); });
    co_await broken;
  }
  Task<void> Rest(uint32_t milliseconds) override {
    auto pause = context().Sleep(absl::Milliseconds(milliseconds));
    co_await pause;
  }
  void Save(DiggerState::Builder out) const override { out.setDepth(depth_); }
  void Load(DiggerState::Reader in) override { depth_ = in.getDepth(); }
  uint64_t depth_ = 0;
};
