// BlunderActor: does what it is told to that is not to be done.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "blunder.troupe.h"
#include "troupe/actors/actor.h"
#include "troupe/rpc/status.h"

// The text of what a step throws.
template <typename Step>
std::string Thrown(Step step) {
  auto thrown = kj::runCatchingExceptions([&] { step(); });
  KJ_IF_MAYBE (e, thrown) return troupe::Words(*e);
  return "(nothing was thrown)";
}

// What outlives the objects.
struct Scene {
  kj::Own<kj::PromiseFulfiller<void>> go;
  Blunder::Ref kept;
  std::string stray_tell, stray_call, last_tell;
};

class BlunderActor final : public Blunder::Actor {
 public:
  explicit BlunderActor(Scene& scene) : scene_(scene) {}

 private:
  Task<void> OnDeactivate() override {
    scene_.last_tell = Thrown([this] { context().Tell<Blunder>("x").Take(""); });
    co_return;
  }

  Task<std::string> Commit(std::string what) override {
    using troupe::TimerOptions;
    auto timer = [this](TimerOptions options) {
      timers_.push_back(context().StartTimer(options, [] {}));
    };
    const auto second = absl::Seconds(1);
    auto other = context().Get<Blunder>("other");
    if (what == "timers") {
      for (int i = 0; i < 65; ++i) timer({.every = second});
    } else if (what == "timer in the past") {
      timer({.after = -second});
    } else if (what == "timer too often") {
      timer({.every = absl::Microseconds(1)});
    } else if (what == "reminder at and after") {
      context().SetReminder("bell", {.at = context().WallNow(), .after = second});
    } else if (what == "reminder without a name") {
      context().SetReminder("", {.after = second});
    } else if (what == "reminder too often") {
      context().SetReminder("bell", {.every = absl::Milliseconds(1)});
    } else if (what == "reminder of another age") {
      context().SetReminder("bell", {.at = absl::FromUnixSeconds(-1)});
    } else if (what == "reminders") {
      for (int i = 0; i < 65; ++i) context().SetReminder(std::to_string(i), {.after = second});
    } else if (what == "unserved notice") {
      context().WatchNode("nowhere");
    } else if (what == "unserved reminder") {
      context().SetReminder("bell", {.after = second});
    } else if (what == "kept after erasure") {
      context().Erase();
      co_await context().Persisted();
    } else if (what == "large results") {
      co_return std::string(9 << 20, 'x');
    } else if (what == "results that are not kept") {
      co_return std::string(100'000, 'x');
    } else if (what == "nobody") {
      co_await Blunder::Ref().Take("");
    } else if (what == "long key") {
      co_await context().Get<Blunder>(std::string(1025, 'k')).Take("");
    } else if (what == "one id twice") {
      auto same = context().Get<Blunder>("other", {.id = troupe::Id128{1, 2}});
      co_await same.Take("a");
      co_await same.Take("b");
    } else if (what == "deeper") {
      co_await context().Get<Blunder>(std::string(context().key()) + "x").Commit("deeper");
    } else if (what == "stray") {
      auto pair = kj::newPromiseAndFulfiller<void>();
      scene_.go = kj::mv(pair.fulfiller);
      stray_ = pair.promise.then([this] { Stray(); }).eagerlyEvaluate(nullptr);
    } else if (what == "keep a ref") {
      scene_.kept = other;
    }
    co_return "";
  }
  Task<void> Look(std::string) override {
    context().SetReminder("bell", {.after = absl::Seconds(1)});
    co_return;
  }
  Task<void> Take(std::string bytes) override {
    bytes_ = std::move(bytes);
    co_return;
  }
  // After its turn.
  void Stray() {
    scene_.stray_tell = Thrown([this] { context().Tell<Blunder>("other").Take(""); });
    auto told = [&scene = scene_](kj::Exception&& e) { scene.stray_call = troupe::Words(e); };
    call_ =
        context().Get<Blunder>("other").Take("").AsPromise().catch_(told).eagerlyEvaluate(nullptr);
  }

  void Save(BlunderState::Builder out) const override {
    out.setBytes({reinterpret_cast<const kj::byte*>(bytes_.data()), bytes_.size()});
  }
  void Load(BlunderState::Reader in) override {
    bytes_.assign(reinterpret_cast<const char*>(in.getBytes().begin()), in.getBytes().size());
  }

  Scene& scene_;
  std::string bytes_;
  std::vector<troupe::ActorTimer> timers_;
  kj::Promise<void> stray_ = nullptr, call_ = nullptr;
};
