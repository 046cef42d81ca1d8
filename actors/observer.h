// Observer: an object of a client that actors call by its ref.
//
//   class Screen final : public Listener::Actor {
//     Task<void> Said(std::string who, std::string text) override { ... co_return; }
//   };
//   auto screen = client.Observe<Screen>();
//   co_await client.Get<Room>("lobby").Join("ann", screen.ref());
//
// Owns the object; when it goes, the object goes and its ref reaches nobody any more, not later
// either. The ref is a value as any other: sent, kept in state, compared, printed, called by
// whoever has it. What calls promise is in docs/semantics.md, "Observers": at most once, in the
// order of each caller, no later than their deadline, DISCONNECTED at once when nobody is there.
//
// The object runs one call at a time, in order, on the client's loop, so it needs no locks; what it
// throws is the caller's answer. It has no context(), state or timers: it calls by refs of the
// client, or those that it is given. One that waits for an actor whose method waits for it waits
// until the deadline. It may be dropped in a method of its own; it then goes a turn of the loop
// later, as it does when a method is under way, which is cancelled.
#pragma once

#include <utility>

#include "troupe/actors/observer_mailbox.h"
#include "troupe/actors/ref.h"

namespace troupe {

template <typename T>
requires HasRef<typename T::ActorInterface>
class Observer {
 public:
  using Interface = typename T::ActorInterface;

  Observer() = default;  // Owns nothing.
  Observer(kj::Own<ObserverMailbox> mailbox, T& object, typename Interface::Ref ref)
      : mailbox_(kj::mv(mailbox)), object_(&object), ref_(std::move(ref)) {}
  Observer(Observer&& other) noexcept
      : mailbox_(kj::mv(other.mailbox_)),
        object_(std::exchange(other.object_, nullptr)),
        ref_(std::move(other.ref_)) {}
  Observer& operator=(Observer&& other) noexcept {
    Drop();
    mailbox_ = kj::mv(other.mailbox_);
    object_ = std::exchange(other.object_, nullptr);
    ref_ = std::move(other.ref_);
    return *this;
  }
  ~Observer() noexcept { Drop(); }

  // Good after the observer has gone, too: it then names nobody who answers. Calls by it are the
  // client's.
  const typename Interface::Ref& ref() const { return ref_; }

  // Valid while this and the client are.
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }

 private:
  void Drop() {
    object_ = nullptr;
    if (mailbox_.get() != nullptr) mailbox_->End();
    mailbox_ = nullptr;
  }

  kj::Own<ObserverMailbox> mailbox_;
  T* object_ = nullptr;
  typename Interface::Ref ref_;
};

}  // namespace troupe
