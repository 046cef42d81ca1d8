// MillActor, of which there are pools, and MillerActor, who uses one. For tests.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "counter.capnp.h"
#include "mill.troupe.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {

// What the actors of a test share. Outlives the cluster.
struct MillYard {
  std::function<kj::Promise<void>(uint32_t)> pause;  // Milliseconds.
  size_t built = 0;                                  // Objects.
  size_t grinding = 0;                               // At this moment.
  size_t most = 0;
  uint64_t begun = 0;
};

class MillActor final : public Mill::Actor {
 public:
  explicit MillActor(MillYard& yard) : yard_(yard) { ++yard_.built; }
  ~MillActor() noexcept(false) override {
    if (grinding_) --yard_.grinding;
  }

 private:
  Task<uint64_t> Grind(uint64_t grain, uint32_t milliseconds) override {
    ++yard_.begun;
    grinding_ = true;
    yard_.most = std::max(yard_.most, ++yard_.grinding);
    auto pause = yard_.pause(milliseconds);
    co_await pause;
    --yard_.grinding;
    grinding_ = false;
    co_return 2 * grain;
  }
  Task<uint64_t> Lend(std::string counter, uint64_t by) override {
    auto request = context().Get<Counter>(counter).addRequest();
    request.setBy(by);
    auto added = request.send().then([](auto&& reply) { return reply.getValue(); });
    co_return co_await added;
  }
  Task<void> Misuse(std::string how) override {
    if (how == "fail") co_await Fail("the stone is worn");
    if (how == "tell") context().Tell<Miller>("x").Ask();
    if (how == "remind") context().SetReminder("x", {});
    if (how == "persist") co_await context().Persisted();
  }
  Task<uint64_t> CallBack(std::string miller) override {
    auto asked = context().Get<Miller>(miller).Ask();
    co_return co_await asked;
  }

  MillYard& yard_;
  bool grinding_ = false;
};

class MillerActor final : public Miller::Actor {
  Task<uint64_t> Work(uint32_t grains) override {
    auto mills = context().Pool<Mill>();
    std::vector<Task<uint64_t>> flour;
    for (uint32_t i = 0; i < grains; ++i) flour.push_back(mills.Grind(1, 50));
    for (auto& one : flour) ground_ += co_await one;
    co_return ground_;
  }
  Task<uint64_t> Ask() override {
    auto asked = context().Pool<Mill>().CallBack(std::string(context().key()));
    co_return co_await asked;
  }
  void Save(MillerState::Builder out) const override { out.setGround(ground_); }
  void Load(MillerState::Reader in) override { ground_ = in.getGround(); }
  uint64_t ground_ = 0;
};

}  // namespace troupe
