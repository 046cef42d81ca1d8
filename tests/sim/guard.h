// GuardActor: watches whom it is told to, and writes down its notices.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "counter.h"
#include "guard.troupe.h"
#include "troupe/actors/actor.h"
#include "troupe/runtime/task.h"

namespace troupe {

// What the test has guards do.
struct GuardOffice {
  std::map<std::string, int> fails_notices;  // By key: so many turns of OnNotice.
  std::set<std::string> fails_to_activate;
  std::set<std::string> watches_again;
  std::set<std::string> erased_as_they_go;  // By OnDeactivate.
  bool holds = false;
  bool counts_elsewhere = false;  // A notice adds one to the counter of the same key.
};

class GuardActor final : public Guard::Actor {
 public:
  explicit GuardActor(GuardOffice& office) : office_(office) {}

 private:
  Task<void> OnActivate() override {
    KJ_REQUIRE(!office_.fails_to_activate.contains(Key()), "told to fail to activate");
    co_return;
  }
  Task<void> OnDeactivate() override {
    if (office_.erased_as_they_go.contains(Key())) context().Erase();
    co_return;
  }
  Task<void> OnNotice(const Notice& notice) override { return Take(notice); }
  Task<void> Take(const Notice& notice) {
    notices_.push_back(absl::StrCat(Name(notice.why), " ", notice.who ? notice.who.key() : "node ",
                                    notice.node, ": ", notice.text));
    if (office_.counts_elsewhere) {
      auto request = context().Get<Counter>(Key()).addRequest();
      request.setBy(1);
      auto added = request.send();
      auto answer = co_await added;
    }
    if (office_.watches_again.contains(Key())) {
      if (notice.who) context().Watch(notice.who);
      if (!notice.who) context().WatchNode(notice.node);
    }
    if (office_.fails_notices[Key()] > 0) {
      --office_.fails_notices[Key()];
      co_await ::troupe::Fail(KJ_EXCEPTION(FAILED, "told to fail its notice"));
    }
  }

  Task<void> Watch(capnp::List<Guard>::Reader who) override {
    for (auto guard : who) context().Watch(Guard::Ref(guard));
    co_return;
  }
  Task<bool> Unwatch(Guard::Ref who) override { co_return context().Unwatch(who); }
  Task<void> WatchNode(std::string name) override {
    context().WatchNode(name);
    co_return;
  }
  Task<bool> UnwatchNode(std::string name) override { co_return context().UnwatchNode(name); }
  Task<void> WatchAndFail(Guard::Ref who) override {
    context().Watch(who);
    co_await ::troupe::Fail(KJ_EXCEPTION(FAILED, "told to fail"));
  }
  Task<void> Erase() override {
    context().Erase();
    co_return;
  }
  Task<void> EraseAndFail() override {
    context().Erase();
    co_await ::troupe::Fail(KJ_EXCEPTION(FAILED, "told to fail"));
  }
  Task<void> Fail() override { co_await ::troupe::Fail(KJ_EXCEPTION(FAILED, "told to fail")); }
  Task<void> FailByItself() override {
    timer_ = context().StartTimer({.after = absl::ZeroDuration()}, []() -> kj::Promise<void> {
      return KJ_EXCEPTION(FAILED, "told to fail by itself");
    });
    co_return;
  }
  Task<void> Peek(Guard::Ref who) override {
    context().Watch(who);
    co_return;
  }
  Task<void> Notices(Guard::NoticesResults::Builder results) override {
    Save(results.initState());
    co_return;
  }
  Task<void> WatchAndLeave(Guard::Ref who) override {
    context().Watch(who);
    context().Deactivate();
    co_return;
  }

  Task<void> Say(Guard::Ref who, uint32_t times) override {
    for (uint32_t i = 0; i < times; ++i) context().Tell(who).Hold();
    co_return;
  }
  Task<void> Hold() override {
    if (!office_.holds) co_return;
    co_await ::troupe::Fail(KJ_EXCEPTION(OVERLOADED, "not now"));
  }

  void Save(GuardState::Builder out) const override {
    auto list = out.initNotices(static_cast<unsigned>(notices_.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, notices_[i]);
  }
  void Load(GuardState::Reader in) override {
    for (auto notice : in.getNotices()) notices_.push_back(notice.cStr());
  }
  std::string Key() { return std::string(context().key()); }

  GuardOffice& office_;
  std::vector<std::string> notices_;
  ActorTimer timer_;
};

}  // namespace troupe
