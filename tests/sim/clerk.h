// ClerkActor: does what it is told with timers, reminders and its own life, and keeps count.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "clerk.capnp.h"
#include "counter.h"
#include "kj/timer.h"
#include "troupe/actors/actor.h"
#include "troupe/runtime/task.h"

namespace troupe {

// What the test sees of the objects, and tells them to do. By key.
struct ClerkOffice {
  std::map<std::string, uint64_t> activated;
  std::map<std::string, uint64_t> deactivated;
  uint64_t objects = 0;
  std::set<std::string> fails_to_activate;
  std::set<std::string> fails_to_load;
  std::set<std::string> fails_its_timers;
  std::set<std::string> fails_its_reminders;
  uint64_t failures = 0;
  std::map<std::string, uint64_t> tick_on_activation;  // Milliseconds between.
  std::set<std::string> never_deactivates;
  std::map<std::string, std::string> activates_with;  // Whom OnActivate() of a clerk asks.
  bool adds_at_end = false;                           // OnDeactivate() adds 100.
  uint64_t reminder_asks = 0;    // Calls to others in a reminder's turn, before it adds.
  bool counts_elsewhere = true;  // A reminder adds one to the counter of the same key.
};

class ClerkActor final : public Actor<Clerk, ClerkState> {
 public:
  explicit ClerkActor(ClerkOffice& office) : office_(office), object_(++office.objects) {}

 private:
  kj::Promise<void> OnActivate() override {
    ++office_.activated[Key()];
    if (office_.fails_to_activate.contains(Key())) return Refuse("told to fail to activate");
    if (uint64_t every = office_.tick_on_activation[Key()]) StartTicking(every, false, 0);
    if (auto other = office_.activates_with.find(Key()); other != office_.activates_with.end()) {
      return context().Get<Clerk>(other->second).addRequest().send().ignoreResult();
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> OnDeactivate() override {
    ++office_.deactivated[Key()];
    if (office_.adds_at_end) value_ += 100;
    return office_.never_deactivates.contains(Key()) ? kj::Promise<void>(kj::NEVER_DONE)
                                                     : kj::Promise<void>(kj::READY_NOW);
  }
  kj::Promise<void> OnReminder(const DueReminder& reminder) override { return Serve(reminder); }
  Task<void> Serve(const DueReminder& reminder) {
    missed_ += reminder.missed;
    served_.push_back({reminder.name, absl::ToUnixMillis(reminder.due)});
    if (office_.fails_its_reminders.contains(Key())) {
      auto refused = Refuse("told to fail its reminder");
      co_await refused;
    }
    for (uint64_t i = 0; i < office_.reminder_asks; ++i) {
      auto asked = context().Get<Counter>(Key()).getRequest().send();
      auto answer = co_await asked;
    }
    if (!office_.counts_elsewhere) co_return;
    auto request = context().Get<Counter>(Key()).addRequest();
    request.setBy(1);
    auto added = request.send();
    auto answer = co_await added;
  }

  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> look(LookContext call) override {
    Save(call.getResults().initState());
    call.getResults().setTicks(ticks_);
    call.getResults().setObject(object_);
    return kj::READY_NOW;
  }
  kj::Promise<void> remind(RemindContext call) override {
    auto in = call.getParams();
    context().SetReminder(in.getName().cStr(), {.after = absl::Milliseconds(in.getAfterMs()),
                                                .every = absl::Milliseconds(in.getEveryMs()),
                                                .catch_up = static_cast<CatchUp>(in.getCatchUp())});
    return kj::READY_NOW;
  }
  kj::Promise<void> forget(ForgetContext call) override {
    call.getResults().setKnown(context().CancelReminder(call.getParams().getName().cStr()));
    return kj::READY_NOW;
  }
  kj::Promise<void> tick(TickContext call) override {
    auto in = call.getParams();
    StartTicking(in.getEveryMs(), in.getKeepsActive(), in.getHoldMs());
    return kj::READY_NOW;
  }
  void StartTicking(uint64_t every_ms, bool keeps_active, uint64_t hold_ms) {
    timer_ =
        context().StartTimer({.every = absl::Milliseconds(every_ms), .keeps_active = keeps_active},
                             [this, hold_ms] { return Tick(hold_ms); });
  }
  Task<void> Tick(uint64_t hold_ms) {
    ++ticks_;
    ++ticked_;
    KJ_REQUIRE(!ticking_, "a timer's turn began within another");
    ticking_ = true;
    if (office_.fails_its_timers.contains(Key())) {
      auto refused = Refuse("told to fail its timer");
      co_await refused;
    }
    // A call to another actor takes time.
    for (uint64_t i = 0; i < hold_ms; ++i) {
      auto asked = context().Get<Counter>(Key()).getRequest().send();
      auto answer = co_await asked;
    }
    ticking_ = false;
  }
  kj::Promise<void> stopTicking(StopTickingContext) override {
    timer_ = ActorTimer();
    return kj::READY_NOW;
  }
  kj::Promise<void> deactivate(DeactivateContext call) override {
    value_ += call.getParams().getBy();
    context().Deactivate();
    return kj::READY_NOW;
  }
  kj::Promise<void> erase(EraseContext) override {
    context().Erase();
    return kj::READY_NOW;
  }
  kj::Promise<void> fail(FailContext call) override {
    value_ += call.getParams().getBy();
    return KJ_EXCEPTION(FAILED, "told to fail");
  }
  kj::Promise<void> addLater(AddLaterContext call) override { return AddLater(call); }
  Task<void> AddLater(AddLaterContext call) {
    for (uint64_t i = 0; i < call.getParams().getAfterMs(); ++i) {
      auto asked = context().Get<Counter>(Key()).getRequest().send();
      auto answer = co_await asked;
    }
    call.getResults().setValue(value_ += call.getParams().getBy());
  }

  void Save(ClerkState::Builder out) const override {
    out.setValue(value_);
    out.setTicked(ticked_);
    out.setMissed(missed_);
    auto list = out.initServed(static_cast<unsigned>(served_.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      list[i].setName(served_[i].name);
      list[i].setDue(served_[i].due);
    }
  }
  void Load(ClerkState::Reader in) override {
    KJ_REQUIRE(!office_.fails_to_load.contains(Key()), "told to fail to load");
    value_ = in.getValue();
    ticked_ = in.getTicked();
    missed_ = in.getMissed();
    for (auto served : in.getServed()) {
      served_.push_back({served.getName().cStr(), served.getDue()});
    }
  }

  std::string Key() { return std::string(context().key()); }
  kj::Promise<void> Refuse(kj::StringPtr why) {
    ++office_.failures;
    return KJ_EXCEPTION(FAILED, why);
  }

  struct Served {
    std::string name;
    int64_t due;
  };
  ClerkOffice& office_;
  const uint64_t object_;
  uint64_t value_ = 0;
  uint64_t ticked_ = 0;
  uint64_t missed_ = 0;
  std::vector<Served> served_;
  uint64_t ticks_ = 0;
  bool ticking_ = false;
  ActorTimer timer_;
};

inline ActorId ClerkId(const std::string& key) { return {capnp::typeId<Clerk>(), key}; }

}  // namespace troupe
