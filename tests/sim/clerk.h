// ClerkActor: does what it is told with timers, reminders and its own life, and keeps count.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "clerk.troupe.h"
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

class ClerkActor final : public Clerk::Actor {
 public:
  explicit ClerkActor(ClerkOffice& office) : office_(office), object_(++office.objects) {}

 private:
  Task<void> OnActivate() override {
    ++office_.activated[Key()];
    if (office_.fails_to_activate.contains(Key())) return Refuse("told to fail to activate");
    if (uint64_t every = office_.tick_on_activation[Key()]) StartTicking(every, false, 0);
    if (auto other = office_.activates_with.find(Key()); other != office_.activates_with.end()) {
      return context().Get<Clerk>(other->second).Add(0).AsPromise().ignoreResult();
    }
    return kj::READY_NOW;
  }
  Task<void> OnDeactivate() override {
    ++office_.deactivated[Key()];
    if (office_.adds_at_end) value_ += 100;
    return office_.never_deactivates.contains(Key()) ? kj::Promise<void>(kj::NEVER_DONE)
                                                     : kj::Promise<void>(kj::READY_NOW);
  }
  Task<void> OnReminder(const DueReminder& reminder) override { return Serve(reminder); }
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

  Task<void> Dream() override { return kj::Promise<void>(kj::NEVER_DONE); }
  Task<void> Doze(uint64_t by) override {
    value_ += by;
    auto year = context().Sleep(absl::Hours(24 * 365));
    co_await year;
  }
  Task<uint64_t> Add(uint64_t by) override { co_return value_ += by; }
  Task<void> Look(Clerk::LookResults::Builder results) override {
    Save(results.initState());
    results.setTicks(ticks_);
    results.setObject(object_);
    co_return;
  }
  Task<void> Remind(std::string name, uint64_t after_ms, uint64_t every_ms,
                    uint16_t catch_up) override {
    context().SetReminder(name, {.after = absl::Milliseconds(after_ms),
                                 .every = absl::Milliseconds(every_ms),
                                 .catch_up = static_cast<CatchUp>(catch_up)});
    co_return;
  }
  Task<bool> Forget(std::string name) override { co_return context().CancelReminder(name); }
  Task<void> Tick(uint64_t every_ms, bool keeps_active, uint64_t hold_ms) override {
    StartTicking(every_ms, keeps_active, hold_ms);
    co_return;
  }
  void StartTicking(uint64_t every_ms, bool keeps_active, uint64_t hold_ms) {
    timer_ =
        context().StartTimer({.every = absl::Milliseconds(every_ms), .keeps_active = keeps_active},
                             [this, hold_ms] { return TickOnce(hold_ms); });
  }
  Task<void> TickOnce(uint64_t hold_ms) {
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
  Task<void> StopTicking() override {
    timer_ = ActorTimer();
    co_return;
  }
  Task<void> Deactivate(uint64_t by) override {
    value_ += by;
    context().Deactivate();
    co_return;
  }
  Task<void> Erase() override {
    context().Erase();
    co_return;
  }
  Task<void> Fail(uint64_t by) override {
    value_ += by;
    co_await ::troupe::Fail(KJ_EXCEPTION(FAILED, "told to fail"));
  }
  Task<uint64_t> AddLater(uint64_t by, uint64_t after_ms) override {
    for (uint64_t i = 0; i < after_ms; ++i) {
      auto asked = context().Get<Counter>(Key()).getRequest().send();
      auto answer = co_await asked;
    }
    co_return value_ += by;
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
