// RelayActor: passes calls on to another one, as a turn, a told call, a pool, a child or a timer.
#pragma once

#include <optional>
#include <string>

#include "relay.troupe.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/children.h"
#include "troupe/runtime/task.h"

namespace troupe {

class HandActor final : public Hand::Actor {
  Task<void> Touch(std::string key) override {
    auto added = context().Get<Relay>(key).Add(1);
    co_await added;
  }
};

class RelayActor final : public Relay::Actor {
  Task<void> OnActivate() override {
    children_.emplace(context());
    hand_ = children_->Start<HandActor>("hand");
    co_return;
  }
  Task<uint64_t> Add(uint64_t by) override { co_return value_ += by; }
  Task<void> Pass(std::string to) override {
    auto added = context().Get<Relay>(to).Add(1);
    co_await added;
  }
  Task<void> Inform(std::string to) override {
    context().Tell<Relay>(to).Add(1);
    co_return;
  }
  Task<void> PassInRead(std::string to) override {
    auto added = context().Get<Relay>(to).Add(1);
    co_await added;
  }
  Task<void> ByPool(std::string to) override { return context().Pool<Hand>().Touch(to); }
  Task<void> ByChild(std::string to) override { return hand_.Touch(to); }
  Task<void> Later(std::string to) override {
    timer_ = context().StartTimer({.after = absl::Milliseconds(1)}, [this, to] {
      return context().Get<Relay>(to).Add(1).AsPromise().ignoreResult();
    });
    co_return;
  }
  Task<void> Fail() override { co_await ::troupe::Fail("told to fail"); }
  Task<uint64_t> Value() override { co_return value_; }
  Task<uint64_t> AddLater(uint64_t ms) override {
    auto slept = context().Sleep(absl::Milliseconds(static_cast<int64_t>(ms)));
    co_await slept;
    co_return ++value_;
  }
  Task<void> PassWith(std::string to, std::string key, std::string value) override {
    auto added = context().Get<Relay>(to).WithMetadata(key, value).Add(1);
    co_await added;
  }
  void Save(RelayState::Builder out) const override { out.setValue(value_); }
  void Load(RelayState::Reader in) override { value_ = in.getValue(); }

  uint64_t value_ = 0;
  std::optional<Children> children_;
  Hand::Ref hand_;
  ActorTimer timer_;
};

}  // namespace troupe
