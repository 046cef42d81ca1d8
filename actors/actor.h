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
// on from its last snapshot, in a new object. What a method answered survives the loss of the node.
//
// The object comes and goes: OnActivate() is where it gets what `Save` does not keep, its timers
// for example; OnDeactivate() where it lets go. See docs/guide/state.md, time.md and failure.md.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "capnp/any.h"
#include "capnp/capability.h"
#include "kj/async.h"
#include "kj/debug.h"
#include "kj/function.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/actor_timer.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/notice.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/ref.h"
#include "troupe/actors/reminder.h"
#include "troupe/actors/transaction.h"
#include "troupe/runtime/task.h"

namespace troupe {

class Children;
class ChildGroup;
class Log;  // runtime/log.h
class ParentSide;
struct NumberedCall;
template <typename Language>
class ActorTopic;  // topic.h
template <typename Language>
class GroupOf;  // group.h

// When a reminder is due. One of `at` and `after` is given, or neither: then after `every`, and one
// of that name that has this rhythm already stays as it is.
struct ReminderOptions {
  std::optional<absl::Time> at = std::nullopt;  // Of the wall clock. In the past: at once.
  std::optional<absl::Duration> after = std::nullopt;
  absl::Duration every = absl::ZeroDuration();  // Zero: once. At least kReminderPeriodMin.
  CatchUp catch_up = CatchUp::kOnce;
};

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

  // A ref to the pool of a type that keeps no state: each call is run by any object of it, on this
  // node if it hosts the type, else on any that does. Where a node dies it is run again on another
  // one, so that it may run more than once; calls have no order. See docs/guide/calls.md.
  template <typename Interface>
  RefOf<Interface> Pool(CallOptions options = {}) {
    return ReferTo<Interface>(Origin(), {capnp::typeId<Interface>(), PoolKey()}, options);
  }

  // A key by which any type of this actor's role gives an actor that lives where this one does, on
  // the same loop, through all failovers and moves: KeyBeside() in actor_id.h.
  virtual std::string KeyBeside(std::string_view name) const = 0;

  // Calls that are part of what the turn changes: they are made once it is safe, each once, however
  // many nodes die meanwhile, and never if the turn fails. Nobody waits for their answers; an error
  // of the callee's is logged. Those to one actor are made in order, one after the other. Throws
  // FAILED, naming the bound, when too much waits already.
  //
  //   context().Tell<Account>("bob").Deposit(5);
  //   context().Tell(ref).Deposit(5);
  //
  // To an observer of a client (observer.h) it is made at most once, and any error ends it.
  template <HasRef Interface>
  typename Interface::Tell Tell(std::string_view key) {
    return typename Interface::Tell(
        AnyRef(ToldOrigin(), {capnp::typeId<Interface>(), UserKey(key)}, {}));
  }
  template <std::derived_from<AnyRef> Ref>
  typename Ref::Interface::Tell Tell(const Ref& ref) {
    return typename Ref::Interface::Tell(AnyRef(ToldOrigin(), ref.id(), {}));
  }

  // To publish to a topic and to subscribe to one: include topic.h.
  template <HasRef Language>
  ActorTopic<Language> Topic(std::string_view name);
  // The actors of a group: include group.h.
  template <HasRef Language>
  GroupOf<Language> Group(std::string_view name);

  // Within a mutating method: calls to other actors that take effect together, or not at all
  // (transaction.h). This actor is none of them, and what its own turn changes is apart from it.
  template <typename Body>
  auto Transact(Body body, TransactOptions options = {}) {
    return ::troupe::Transact(BeginTransaction(), std::move(body), options);
  }

  // Within a mutating method: waits until all that it has changed and told so far is safe, and
  // stays whatever becomes of the rest. For what is to be on record before the outside world is
  // told: `paying_ = true; co_await context().Persisted(); Pay();`
  //
  // Should the node be lost, or the method throw, after that: what follows is undone. A retry of
  // the call gets FAILED, Interrupted, unless the method is $Troupe.resumable: then it runs again,
  // from its beginning, and Interrupted() says so.
  virtual Task<void> Persisted() = 0;
  virtual bool Interrupted() const = 0;

  // Asks for Resume() once the current turn is safe, and after any failover until it is taken back.
  // Part of the actor's state; to be called within a turn.
  virtual void RequestResume() = 0;
  virtual void CancelResume() = 0;

  // Runs `work` later, as a turn of its own that takes its place in the mailbox; never two of one
  // timer at a time. It may return nothing, a promise or a Task. Not replicated: gone with the
  // handle, and with the object. If it throws, that is a failure of the actor (Supervision).
  template <typename Work>
  ActorTimer StartTimer(TimerOptions options, Work work) {
    return AddTimer(options, [work = std::move(work)]() mutable -> kj::Promise<void> {
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        return kj::READY_NOW;
      } else {
        return work();
      }
    });
  }

  // Runs `work` on another thread, and gives what it returns: for calls that block and computations
  // that take long, which would hold up all actors of the loop. The turn waits for it as for any
  // call. `work` takes what it needs by value: it may outlive the object, and must not touch it, or
  // refs. Rejects with what it throws; OVERLOADED when too much waits on this node
  // (runtime/work_pool.h). Run again with the method, should that run again.
  template <typename Work>
  NamedTask<std::invoke_result_t<Work&>> Offload(Work work) {
    using Result = std::invoke_result_t<Work&>;
    if constexpr (std::is_void_v<Result>) {
      return RunElsewhere(kj::mv(work));
    } else {
      auto result = std::make_shared<std::optional<Result>>();
      return RunElsewhere([result, work = kj::mv(work)]() mutable { result->emplace(work()); })
          .then([result]() -> Result { return kj::mv(**result); });
    }
  }

  // Waits in the method. Nothing else of the actor runs meanwhile: where others may, a timer is
  // better.
  virtual Task<void> Sleep(absl::Duration duration) = 0;

  // Has OnReminder() called when it is due, whichever node the actor is on by then, and whether it
  // is active or not. Part of the actor's state: set, moved and taken back together with what the
  // turn changes; to be called within a turn. Replaces the reminder of that name. Throws FAILED,
  // naming the bound, for what cannot be kept.
  virtual void SetReminder(std::string_view name, const ReminderOptions& options) = 0;
  virtual bool CancelReminder(std::string_view name) = 0;  // False: there was none.

  // Has OnNotice() called once when that actor next ends: is erased, stopped by a failure,
  // suspended, or loses its state (notice.h); whichever nodes die meanwhile, and whether this one
  // is active or not. A failover or a move is no end. Part of the actor's state, as reminders are.
  // Once more is the same; after the notice it watches anew. Throws FAILED, naming the bound, for
  // what cannot be.
  virtual void Watch(const AnyRef& who) = 0;
  virtual bool Unwatch(const AnyRef& who) = 0;  // No notice comes any more. False: was not watched.
  // The same when the run of that node that is in the cluster now is given up, or leaves; at once
  // if there is none.
  virtual void WatchNode(std::string_view node) = 0;
  virtual bool UnwatchNode(std::string_view node) = 0;

  // Lets the object go once the effects of the current turn are safe. The state stays; the calls
  // that wait and the next ones meet a new object. To be called within a turn.
  virtual void Deactivate() = 0;
  // The same, and the state goes: what comes next meets an actor that is new. Answers that are
  // still to be given a second time are kept for as long as ever; then nothing is left of the
  // actor.
  virtual void Erase() = 0;

  // The time of day, as reminders go by; of this node's clock, virtual in simulation.
  virtual absl::Time WallNow() const = 0;

  virtual const Log& log() const = 0;  // runtime/log.h

 protected:
  virtual kj::Own<CallOrigin> Origin() = 0;
  virtual kj::Own<CallOrigin> ToldOrigin() = 0;
  virtual kj::Own<TransactionScope> BeginTransaction() = 0;
  virtual ActorTimer AddTimer(TimerOptions options, ActorTimer::Entry::Work work) = 0;
  virtual kj::Promise<void> RunElsewhere(kj::Function<void()> work) = 0;

  friend class Children;
  friend class ChildGroup;
  virtual ParentSide& AsParent() = 0;  // For Children (children.h).
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

  virtual kj::Promise<void> Pause(absl::Duration time) = 0;

  // Leaves when the turn that is open, if any, and all before it are over and safe. Answers as a
  // call does.
  virtual kj::Promise<Payload> Call(NumberedCall call) = 0;

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

  // A turn of each new object, after Load and before any other: at the first call or reminder, and
  // anew after a failed turn. May do what any turn may. What it throws is the answer to the calls
  // that wait, and a failure of the actor (Supervision).
  virtual Task<void> OnActivate() { return kj::READY_NOW; }

  // The last turn of an object that goes in order: idle, by Deactivate(), or as its shard moves to
  // another node. Not before a crash, and not for an object that a failed turn has left. It ends
  // within kDeactivateLimit, or is undone. What it throws is logged.
  virtual Task<void> OnDeactivate() { return kj::READY_NOW; }

  // The turn of a reminder that is due. `reminder` is valid until the turn ends. Once it succeeds
  // the reminder is served, in one change with what the turn changed; until then it comes again.
  virtual Task<void> OnReminder(const DueReminder& reminder) {
    return kj::Promise<void>(
        KJ_EXCEPTION(FAILED, "the actor's class has no OnReminder() for its reminder: override it",
                     reminder.name));
  }

  // The turn of a notice (ActorContext::Watch). `notice` is valid until the turn ends. Once it
  // succeeds the watch is over, in one change with what the turn changed; until then it comes
  // again.
  virtual Task<void> OnNotice(const Notice& notice) {
    return kj::Promise<void>(
        KJ_EXCEPTION(FAILED, "the actor's class has no OnNotice() for what it watches: override it",
                     Name(notice.why)));
  }

  // Finishes work that must be finished though whoever began it may be gone: called when a turn
  // called RequestResume(), after a failover, and again with a growing pause until a turn calls
  // CancelResume(). See ResumeContext; not to touch the state outside of its InTurn().
  virtual Task<void> Resume(ResumeContext&) { return kj::READY_NOW; }

  void Attach(ActorContext& context) { context_ = &context; }

 protected:
  // Not in the constructor: the object has no name yet.
  ActorContext& context() {
    KJ_REQUIRE(context_ != nullptr,
               "an actor has no name in its constructor: OnActivate() is the place for this; an "
               "observer has none");
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
