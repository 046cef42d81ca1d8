// WatchedActor: goes between an activation and the actor's object: logs turns, brings faults, has a
// stand-in answer, and has the object made anew after each turn (Renewal).
//
// The object sees a context of its own that passes everything on, so that it is known whether
// timers run. Owned by the activation, as any actor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capnp/capability.h"
#include "kj/async.h"
#include "kj/memory.h"
#include "troupe/actors/actor.h"
#include "troupe/testing/dynamic_text.h"
#include "troupe/testing/watch.h"

namespace troupe::testing {

class WatchedActor final : public ActorBase, private capnp::Capability::Server {
 public:
  // `watch` outlives it.
  WatchedActor(Watch& watch, const Watch::Type& type);
  ~WatchedActor() noexcept(false);

  const ActorId& id() const { return id_; }
  // Goes as soon as it may.
  void Leave();

 private:
  class Context;
  struct Timer {
    bool over = false;  // Once only, and it was.
  };

  capnp::Capability::Server& server() override { return *this; }
  Dispatched dispatchCall(uint64_t interface_id, uint16_t method_id, AnyCall call) override;
  void SaveState(capnp::AnyPointer::Builder out) const override;
  void LoadState(capnp::AnyPointer::Reader in) override;
  Task<void> OnActivate() override;
  Task<void> OnDeactivate() override;
  Task<void> OnReminder(const DueReminder& reminder) override;
  Task<void> OnNotice(const Notice& notice) override;
  Task<void> Resume(ResumeContext& resume) override;

  ActorBase* object() const;  // Made when it is first needed: by then there is a key. Null: a fake.
  Dispatched Run(uint64_t interface_id, uint16_t method_id, AnyCall call,
                 capnp::InterfaceSchema::Method method);
  Dispatched RunFake(FakeActor& fake, AnyCall call, capnp::InterfaceSchema::Method method);
  Dispatched Meet(const CallFault& fault, uint64_t interface_id, uint16_t method_id, AnyCall call,
                  capnp::InterfaceSchema::Method method);
  kj::Promise<void> Logged(TurnLog::Number turn, kj::Promise<void> work,
                           kj::Function<std::string()> answer);
  enum class AndThen : uint8_t { kStays, kAnew };
  kj::Promise<void> RunOwn(std::string what, AndThen then, kj::Function<kj::Promise<void>()> work);
  kj::Promise<void> RunTimer(Timer& timer, ActorTimer::Entry::Work& work, bool once);
  void MakeRoomForANewOne();
  TurnLog::Number Begin(std::string call);
  ActorNamer Namer() const;

  Watch& watch_;
  const Watch::Type& type_;
  mutable kj::Own<Context> passed_;
  mutable kj::Own<ActorBase> own_;
  mutable ActorId id_;
  mutable bool met_ = false;  // object() has been asked for.
  mutable ActorBase* object_ = nullptr;
  mutable FakeActor* fake_ = nullptr;
  mutable std::optional<TurnLog::Number> unsaved_;  // The turn whose changes are saved next.
  mutable std::string last_saved_;
  std::vector<std::weak_ptr<Timer>> timers_;
  std::vector<TurnLog::Number> open_;
  ActorTimer leaving_;
};

}  // namespace troupe::testing
