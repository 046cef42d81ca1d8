// ObjectMailbox: the calls of one object that is no actor of the cluster, an observer or a child:
// run one at a time, in order of arrival.
//
// Single loop. There is no record and no retry: a call is answered once, by the object, or told at
// once that nobody is there, or that too much waits. What comes before the object waits for it.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "kj/async.h"
#include "kj/function.h"
#include "kj/refcount.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/call.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr size_t kObjectMailboxMax = 1024;           // Waiting calls; then OVERLOADED.
inline constexpr size_t kObjectMailboxBytesMax = 64 << 20;  // Of their parameters, the same.

class ObjectMailbox final : public kj::Refcounted {
 public:
  // Whose object it is. Not told anything after End() or Abandon().
  class Owner {
   public:
    // A call, or else other work, has failed. Whoever called has been answered.
    virtual void OnError(const InboundCall* call, const kj::Exception& error) = 0;

   protected:
    ~Owner() = default;
  };

  // `host`, `owner` and whom `origin` is of outlive the call of End(). `name`: for errors, as
  // "observer 7". Refs among parameters call by `origin`.
  ObjectMailbox(Host& host, std::string name, kj::Own<CallOrigin> origin, Owner& owner);

  void Open(kj::Own<ActorBase> object);
  ActorBase& object() { return *object_; }

  void Deliver(kj::Own<InboundCall> call);
  bool full(size_t bytes) const;  // A call with so many bytes of parameters would be refused.
  // Runs in its place among the calls. Not bounded: by whoever asks for it.
  using Work = kj::Function<kj::Promise<void>()>;
  void Run(Work work);
  void RunFirst(Work work);

  // Of which the method runs; null: none, or other work.
  const InboundCall* running() const { return open_.get(); }

  // No more calls; those that there are are answered `why`. The object is there until Drop().
  void End(const kj::Exception& why);
  // The object goes, with the method that is under way. Not within that.
  void Drop();
  // Both, when the loop ends. Nobody is answered any more.
  void Abandon();
  bool ended() const { return ended_; }
  bool busy() const { return busy_; }

 private:
  struct Item {
    kj::Own<InboundCall> call;  // Null: `work`.
    Work work = {};
  };

  void Proceed();
  Task<void> RunAll();
  Task<void> RunOne(InboundCall& call);
  void Finish(CallOutcome&& outcome);

  Host& host_;
  const std::string name_;
  kj::Own<CallOrigin> origin_;
  Owner& owner_;
  kj::Own<ActorBase> object_;  // Null before Open() and after its end.
  std::deque<Item> waiting_;
  size_t waiting_bytes_ = 0;
  kj::Own<InboundCall> open_;
  bool busy_ = false;  // RunAll() is under way.
  bool ended_ = false;
  kj::Promise<void> running_ = nullptr;
};

}  // namespace troupe
