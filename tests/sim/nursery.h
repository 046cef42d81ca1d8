// NurseryActor: an actor with children "a", "b" and "c", which does with them what it is told.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "counter.h"
#include "nursery.troupe.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/children.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe {

// What the test sees, and has parts do. By name of the part.
struct NurseryOffice {
  ChildrenOptions options;
  ChildOptions child;
  std::vector<std::string> made;       // Parts, in order.
  std::vector<std::string> activated;  // The same.
  std::vector<std::string> gone;
  std::set<std::string> fails_to_make, fails_to_activate;
  std::string with_grandchild;  // This part has a child "a" of its own.
  uint64_t objects = 0;         // Of the nursery.
  Nursery::Ref kept;            // Of a part, for longer than that is there.
};

class PartActor final : public Part::Actor {
 public:
  PartActor(NurseryOffice& office, std::string name) : office_(office), name_(std::move(name)) {
    office_.made.push_back(name_);
    KJ_REQUIRE(!office_.fails_to_make.contains(name_), "told to fail to be made");
  }
  ~PartActor() noexcept(false) { office_.gone.push_back(name_); }

 private:
  Task<void> OnActivate() override {
    auto later = kj::evalLater([] {});
    co_await later;
    KJ_REQUIRE(!office_.fails_to_activate.contains(name_), "told to fail to activate");
    office_.activated.push_back(name_);
    if (office_.with_grandchild == name_) {
      own_.emplace(context(), ChildrenOptions{.restarts_max = 0});
      grandchild_ = own_->Start<PartActor>("a", std::ref(office_), "a of " + name_);
    }
  }
  Task<uint64_t> Add(uint64_t by) override {
    if (grandchild_) {
      auto added = grandchild_.Add(by);
      co_return co_await added;
    }
    co_return value_ += by;
  }
  Task<void> Fail(std::string text) override {
    if (grandchild_) {
      auto failed = grandchild_.Fail(text);
      auto settled = co_await Settled(failed);  // Its failure is none of this one's.
      co_return;
    }
    co_await ::troupe::Fail(text);
  }
  Task<void> FailAs(uint16_t type) override {
    co_await ::troupe::Fail(static_cast<kj::Exception::Type>(type), "told to fail as it is");
  }
  Task<void> Hang() override { return kj::Promise<void>(kj::NEVER_DONE); }
  Task<void> Leave() override {
    context().Deactivate();
    co_return;
  }
  Task<uint64_t> Count(std::string key) override {
    auto request = context().Get<Counter>(key).addRequest();
    request.setBy(1);
    auto added = request.send();
    auto answer = co_await added;
    co_return answer.getValue();
  }
  Task<uint64_t> AskSibling(Part::Ref sibling) override {
    auto added = sibling.Add(1);
    co_return co_await added;
  }
  Task<void> AskParent(std::string key) override {
    auto asked = context().Get<Nursery>(key).Touch();
    co_await asked;
  }
  Task<void> FailLater() override {
    timer_ = context().StartTimer({.after = absl::Milliseconds(10)}, []() -> kj::Promise<void> {
      return Failed("told to fail later");
    });
    co_return;
  }

  Task<void> Misuse(std::string what) override {
    if (what == "tell") context().Tell<Nursery>("n").Touch();
    if (what == "persist") {
      auto persisted = context().Persisted();
      co_await persisted;
    }
    if (what == "keep") office_.kept = context().Get<Nursery>("n");
    co_return;
  }

  NurseryOffice& office_;
  const std::string name_;
  uint64_t value_ = 0;
  ActorTimer timer_;
  std::optional<Children> own_;
  Part::Ref grandchild_;
};

class NurseryActor final : public Nursery::Actor {
 public:
  explicit NurseryActor(NurseryOffice& office) : office_(office), object_(++office.objects) {}

 private:
  Task<void> OnActivate() override {
    children_.emplace(context(), office_.options);
    for (const auto* name : {"a", "b", "c"}) Start(name, office_.child);
    co_return;
  }
  void Start(const std::string& name, ChildOptions options) {
    children_->StartWith<PartActor>(
        name, [this_office = &office_, name] { return kj::heap<PartActor>(*this_office, name); },
        options);
  }
  Part::Ref At(const std::string& child) { return children_->Ref<Part>(child); }

  Task<uint64_t> Add(std::string child, uint64_t by) override { return At(child).Add(by); }
  Task<void> Fail(std::string child, std::string text) override { return At(child).Fail(text); }
  Task<void> FailAs(std::string child, uint16_t type) override { return At(child).FailAs(type); }
  Task<void> Hang(std::string child, uint64_t ms) override {
    return At(child).WithDeadline(absl::Milliseconds(static_cast<int64_t>(ms))).Hang();
  }
  Task<void> Leave(std::string child) override { return At(child).Leave(); }
  Task<uint64_t> Count(std::string child, std::string key) override { return At(child).Count(key); }
  Task<uint64_t> AskSibling(std::string child, std::string sibling) override {
    return At(child).AskSibling(At(sibling));
  }
  Task<void> AskParent(std::string child) override {
    return At(child).AskParent(std::string(context().key()));
  }
  Task<void> FailLater(std::string child) override { return At(child).FailLater(); }
  Task<bool> Stop(std::string child) override { co_return children_->Stop(child); }
  Task<void> Start(std::string child, uint16_t restart) override {
    Start(child, {.restart = static_cast<ChildOptions::Restart>(restart)});
    co_return;
  }
  Task<void> TellChild(std::string child) override {
    context().Tell(At(child)).Hang();
    co_return;
  }
  Task<void> GiveAway(std::string child, Nursery::Ref to) override { return to.Take(At(child)); }
  Task<void> Take(Part::Ref part) override { return part.Hang(); }
  Task<std::string> HangWhile(std::string child, std::string fails) override {
    auto hangs = At(child).Hang().AsPromise().eagerlyEvaluate(nullptr);
    auto failed = At(fails).Fail("told to fail");
    (void)co_await Settled(failed);
    auto settled = co_await Settled(hangs);
    co_return settled.ok() ? "nothing" : Words(settled.exception());
  }
  Task<uint64_t> Touch() override {
    ++touched_;
    co_return object_;
  }
  Task<void> StartMany(uint32_t count) override {
    for (uint32_t i = 0; i < count; ++i) Start("many" + std::to_string(i), office_.child);
    co_return;
  }
  Task<void> Misuse(std::string child, std::string what) override { return At(child).Misuse(what); }
  Task<void> CallAsOther(std::string child) override {
    return children_->Ref<Nursery>(child).Touch().AsPromise().ignoreResult();
  }
  void Save(NurseryState::Builder out) const override { out.setTouched(touched_); }
  void Load(NurseryState::Reader in) override { touched_ = in.getTouched(); }

  NurseryOffice& office_;
  const uint64_t object_;
  uint64_t touched_ = 0;
  std::optional<Children> children_;
};

}  // namespace troupe
