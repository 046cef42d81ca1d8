// Children: parts of an actor's object that fail by themselves and are started again: a parser, a
// connection, a cache.
//
//   Task<void> OnActivate() override {
//     children_.emplace(context(), {.strategy = Strategy::kOneForOne});
//     feed_ = children_->Start<FeedReader>("feed", url);
//     co_return;
//   }
//   ...
//   co_await feed_.Next();
//
// A child is an object of an interface without state ($Troupe.actor()), on its parent's loop. It is
// not replicated, has no records, and goes with its parent's object. It runs one call at a time, in
// order, each at most once. Its parent and its siblings call it by its ref, which means nothing to
// anybody else. What it calls is called as by a client of its own.
//
// A child *fails* when its constructor, OnActivate(), a timer or a method throws (ChildOptions says
// which errors of methods are answers instead). It is made anew, from the arguments that it was
// started with, after a pause; with it go those that the strategy says. Their calls are answered
// DISCONNECTED. More failures than `restarts_max` within `window`: the parent's object has failed,
// as by a timer (Supervision), and all begins anew with its next OnActivate().
//
// Of its parent a child has nothing but what it is started with: no pointers, as it may end a turn
// of the loop later. A child has context() for refs, timers, the log, and children of its own;
// Deactivate() is its end. Single loop. Errors are thrown as kj::Exception. See
// docs/guide/failure.md. Source: the supervisor behaviour of Erlang/OTP 27 (stdlib, supervisor; OTP
// design principles).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "capnp/schema.h"
#include "kj/memory.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/child_key.h"
#include "troupe/actors/ref.h"

namespace troupe {

inline constexpr size_t kChildrenMax = 256;  // Of one Children.
inline constexpr size_t kChildNameBytesMax = 256;

// Who is made anew with one that fails; those are ended in the reverse order of their starts, and
// made in that order, each once those before it have had their OnActivate().
enum class Strategy : uint8_t {
  kOneForOne,   // It alone.
  kOneForAll,   // All.
  kRestForOne,  // It, and those that were started after it.
};

struct ChildrenOptions {
  Strategy strategy = Strategy::kOneForOne;
  size_t restarts_max =
      5;  // More within the window are a failure of the parent's. 0: the first is.
  absl::Duration window = absl::Seconds(60);
  // Before one is made anew: doubled with each failure in the window, half to one and a half times
  // that at random.
  absl::Duration pause_min = absl::Milliseconds(100);
  absl::Duration pause_max = absl::Seconds(5);
  bool keeps_active = false;  // The parent is not idle while it has children.
};

struct ChildOptions {
  enum class Restart : uint8_t {
    kPermanent,  // Always made anew, also after Deactivate().
    kTransient,  // After a failure.
    kTemporary,  // Never: its end is the end of it, and no failure that counts.
  } restart = Restart::kPermanent;
  enum class Errors : uint8_t {
    kFail,        // Any error that leaves a method is a failure: the state that led to it goes.
    kAreAnswers,  // FAILED is an answer; OVERLOADED, DISCONNECTED and UNIMPLEMENTED are failures.
  } errors = Errors::kFail;
};

class ChildGroup;

class Children {
 public:
  // In OnActivate() or later. `parent`: context(). A member of the parent's, which goes with it.
  explicit Children(ActorContext& parent, ChildrenOptions options = {});
  ~Children() noexcept(false);
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Makes a Class of copies of `args`, now and whenever it is made anew. A ref as any other, good
  // as long as this is. Throws FAILED for a name that is taken, or for too many.
  template <typename Class, typename... Args>
  auto Start(std::string_view name, Args&&... args) {
    return StartWith<Class>(
        name,
        [kept = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)] {
          return std::apply([](const auto&... each) { return kj::heap<Class>(each...); }, kept);
        },
        {});
  }
  // With a factory, which is called on this loop for each new object.
  template <typename Class>
  auto StartWith(std::string_view name, std::function<kj::Own<Class>()> make,
                 ChildOptions options = {}) {
    using Interface = typename Class::ActorInterface;
    static_assert(
        std::derived_from<Class, Actor<Interface, void>>,
        "a child keeps no state: write $Troupe.actor() without a state for its interface");
    Add(
        name, capnp::typeId<Interface>(), [make = std::move(make)] { return make(); }, options);
    return Ref<Interface>(name);
  }

  // Of one that has been started, or will be. Calls to a name that there is not end DISCONNECTED.
  template <typename Interface>
  RefOf<Interface> Ref(std::string_view name) {
    return ReferTo<Interface>(Origin(), {capnp::typeId<Interface>(), ChildKey(name)});
  }

  // Ends it for good; its name is free. False: there is none.
  bool Stop(std::string_view name);
  bool Has(std::string_view name) const;  // It has been started, and not ended for good.
  size_t size() const;

 private:
  void Add(std::string_view name, uint64_t type, std::function<kj::Own<ActorBase>()> make,
           ChildOptions options);
  kj::Own<CallOrigin> Origin();

  kj::Own<ChildGroup> group_;
};

}  // namespace troupe
