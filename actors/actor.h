// Actor: what an actor class derives from.
//
//   class CounterActor final : public troupe::Actor<Counter, CounterState> {
//     kj::Promise<void> add(AddContext call) override {
//       call.getResults().setValue(value_ += call.getParams().getBy());
//       return kj::READY_NOW;
//     }
//     void Save(CounterState::Builder out) const override { out.setValue(value_); }
//     void Load(CounterState::Reader in) override { value_ = in.getValue(); }
//     uint64_t value_ = 0;
//   };
//
// One object is one activation: private state, one message at a time, on one loop, so no locks. A
// method may wait (return a promise, or a Task); no other mutating method of the actor starts until
// it is done. A method that throws changes nothing: its caller gets the error, and the actor goes
// on from its last snapshot. What a method answered survives the loss of the node.
#pragma once

#include <string>
#include <string_view>

#include "capnp/capability.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "kj/async.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/ref.h"
#include "troupe/runtime/log.h"

namespace troupe {

// What an activation can ask of the framework. Valid as long as the actor object.
class ActorContext {
 public:
  virtual ~ActorContext() noexcept(false) = default;

  virtual const ActorId& id() const = 0;
  std::string_view key() const { return id().key; }

  // A ref to another actor. Calls made in a turn get ids derived from the turn's own call, so that
  // a turn that runs again elsewhere reaches the callee once.
  template <typename Interface>
  typename Interface::Client Get(std::string_view key, CallOptions options = {}) {
    return Refer<Interface>(Origin(), key, options);
  }

  // Asks for a Resume() turn after the current one is safe, and after any failover until it is
  // taken back. Part of the actor's state; to be called within a turn.
  virtual void RequestResume() = 0;
  virtual void CancelResume() = 0;

  virtual const Log& log() const = 0;

 protected:
  virtual kj::Own<CallOrigin> Origin() = 0;
};

// The untyped side of an actor, which the framework drives.
class ActorBase {
 public:
  virtual ~ActorBase() noexcept(false) = default;

  virtual capnp::Capability::Server& server() = 0;
  virtual void SaveState(capnp::MessageBuilder& out) const = 0;
  virtual void LoadState(capnp::MessageReader& in) = 0;

  // A turn of its own, run when RequestResume() was called and again, with a growing pause, until a
  // turn calls CancelResume(); also the first turn after a failover. For work that must be finished
  // though whoever began it may be gone.
  virtual kj::Promise<void> Resume() { return kj::READY_NOW; }

  void Attach(ActorContext& context) { context_ = &context; }

 protected:
  ActorContext& context() { return *context_; }

 private:
  ActorContext* context_ = nullptr;
};

template <typename Interface, typename State>
class Actor : public Interface::Server, public ActorBase {
 public:
  using ActorInterface = Interface;

 protected:
  // Writes all of the state, between turns. Must not change anything.
  virtual void Save(typename State::Builder out) const = 0;
  // Takes the state on; called once, before the first turn, if there is one. What it throws is the
  // answer to the calls that needed the actor; nothing stored is lost.
  virtual void Load(typename State::Reader in) = 0;

 private:
  capnp::Capability::Server& server() final { return *this; }
  void SaveState(capnp::MessageBuilder& out) const final {
    Save(out.template initRoot<State>());
  }
  void LoadState(capnp::MessageReader& in) final { Load(in.template getRoot<State>()); }
};

}  // namespace troupe
