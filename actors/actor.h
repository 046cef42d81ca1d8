// Actor: what an actor class derives from.
//
//   class CounterActor final : public Counter::Actor {
//     Task<uint64_t> Add(uint64_t by) override { co_return value_ += by; }
//     void Save(CounterState::Builder out) const override { out.setValue(value_); }
//     void Load(CounterState::Reader in) override { value_ = in.getValue(); }
//     uint64_t value_ = 0;
//   };
//
// Counter::Actor is generated (capnpc-troupe) where the schema says $Troupe.actor, and derives from
// this. For any other interface, derive from troupe::Actor<Counter, CounterState> and override what
// Cap'n Proto declares: kj::Promise<void> add(AddContext call).
//
// One object is one activation: private state, one message at a time, on one loop, so no locks. A
// method may wait (return a promise, or a Task); no other mutating method of the actor starts until
// it is done. A method that throws changes nothing: its caller gets the error, and the actor goes
// on from its last snapshot. What a method answered survives the loss of the node.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "capnp/any.h"
#include "capnp/capability.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/ref.h"
#include "troupe/runtime/task.h"

namespace troupe {

class Log;

// What an activation can ask of the framework. Valid as long as the actor object.
class ActorContext {
 public:
  virtual ~ActorContext() noexcept(false) = default;

  virtual const ActorId& id() const = 0;
  std::string_view key() const { return id().key; }

  // A ref to another actor. Calls made in a turn get ids derived from the turn's own call, so that
  // a turn that runs again elsewhere reaches the callee once.
  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, CallOptions options = {}) {
    return Refer<Interface>(Origin(), key, options);
  }
  template <HasRef Interface>
  RefOf<Interface> Get(schema::ActorRef::Reader ref, CallOptions options = {}) {
    return Refer<Interface>(Origin(), ref, options);
  }

  // Asks for Resume() once the current turn is safe, and after any failover until it is taken back.
  // Part of the actor's state; to be called within a turn.
  virtual void RequestResume() = 0;
  virtual void CancelResume() = 0;

  virtual const Log& log() const = 0;  // runtime/log.h

 protected:
  virtual kj::Own<CallOrigin> Origin() = 0;
};

// What Resume() works with. It runs beside the actor's turns, so that two actors that finish work
// at each other do not wait for each other for ever: it looks at the state and changes it in turns
// of its own, and calls others in between.
class ResumeContext {
 public:
  // A ref whose calls all carry `id`: the callee is reached once by as many attempts as it takes. A
  // call leaves when what completed turns have changed is safe.
  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, Id128 id,
                       std::optional<absl::Duration> deadline = std::nullopt) {
    return Refer<Interface>(ResumeOrigin(), key, {.deadline = deadline, .id = id});
  }
  template <HasRef Interface>
  RefOf<Interface> Get(const AnyRef& ref, Id128 id,
                       std::optional<absl::Duration> deadline = std::nullopt) {
    return RefOf<Interface>(ResumeOrigin(), ref.id(), {.deadline = deadline, .id = id});
  }

  // Runs `work` as a turn of its own. Rejects with what it throws; then it has changed nothing, and
  // Resume() begins anew a little later.
  virtual kj::Promise<void> InTurn(kj::Function<void()> work) = 0;

 protected:
  ~ResumeContext() = default;
  virtual kj::Own<CallOrigin> ResumeOrigin() = 0;
};

// The untyped side of an actor, which the framework drives.
class ActorBase {
 public:
  virtual ~ActorBase() noexcept(false) = default;

  virtual capnp::Capability::Server& server() = 0;
  virtual void SaveState(capnp::AnyPointer::Builder out) const = 0;
  virtual void LoadState(capnp::AnyPointer::Reader in) = 0;

  // Finishes work that must be finished though whoever began it may be gone: called when a turn
  // called RequestResume(), after a failover, and again with a growing pause until a turn calls
  // CancelResume(). See ResumeContext; not to touch the state outside of its InTurn().
  virtual kj::Promise<void> Resume(ResumeContext&) { return kj::READY_NOW; }

  void Attach(ActorContext& context) { context_ = &context; }

 protected:
  // Not in the constructor: the object has no name yet.
  ActorContext& context() {
    KJ_REQUIRE(context_ != nullptr, "an actor has no context in its constructor");
    return *context_;
  }

 private:
  ActorContext* context_ = nullptr;
};

template <typename Interface>
class ActorOf : public Interface::Server, public ActorBase {
 public:
  using ActorInterface = Interface;

 protected:
  template <typename T>
  using Task = ::troupe::Task<T>;

  // A ref to this actor, as for anybody else: its calls enter the mailbox. One that the calling
  // turn waits for is a call cycle, and fails. Not in the constructor.
  RefOf<Interface> Self() { return context().template Get<Interface>(context().key()); }
  typename Interface::Client thisCap() { return Self(); }

 private:
  capnp::Capability::Server& server() final { return *this; }
};

// `State`: the struct that Save() writes; void: the actor keeps nothing from turn to turn.
template <typename Interface, typename State = void>
class Actor : public ActorOf<Interface> {
 protected:
  // Writes all of the state, between turns. Must not change anything.
  virtual void Save(typename State::Builder out) const = 0;
  // Takes the state on; called once, before the first turn, if there is one. What it throws is the
  // answer to the calls that needed the actor; nothing stored is lost.
  virtual void Load(typename State::Reader in) = 0;

 private:
  void SaveState(capnp::AnyPointer::Builder out) const final { Save(out.template initAs<State>()); }
  void LoadState(capnp::AnyPointer::Reader in) final { Load(in.template getAs<State>()); }
};

template <typename Interface>
class Actor<Interface, void> : public ActorOf<Interface> {
 private:
  void SaveState(capnp::AnyPointer::Builder) const final {}
  void LoadState(capnp::AnyPointer::Reader) final {}
};

using AnyCall = capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer>;
using Dispatched = capnp::Capability::Server::DispatchCallResult;

// What generated actor bases derive from.
template <typename Interface, typename State = void>
class TypedActor : public Actor<Interface, State> {
 public:
  Dispatched dispatchCall(uint64_t interface_id, uint16_t method_id, AnyCall call) final {
    using Base = typename Interface::Actor;
    return Base::Dispatch(static_cast<Base&>(*this), interface_id, method_id, call);
  }

 protected:
  // Tells the caller that there is none.
  Dispatched UnknownMethod(uint64_t interface_id, uint16_t method_id, AnyCall call) {
    return Interface::Server::dispatchCall(interface_id, method_id, call);
  }
};

}  // namespace troupe
