// ObserverMailbox: one observer of a client, with the calls that wait for it; Observers: all of one
// client.
//
// Internal to Client and Observer. Single loop. An observer runs one call at a time, in order of
// arrival. What is dropped, or has more waiting than it may, is told to the caller at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

#include "kj/async.h"
#include "kj/refcount.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/call.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/told_seen.h"
#include "troupe/runtime/host.h"

namespace troupe {

inline constexpr size_t kObserverMailboxMax = 1024;           // Waiting calls; then OVERLOADED.
inline constexpr size_t kObserverMailboxBytesMax = 64 << 20;  // Of their parameters, the same.

class ObserverMailbox final : public kj::Refcounted {
 public:
  // `host` and whom `origin` is of outlive the call of End(). Refs among parameters call by
  // `origin`.
  ObserverMailbox(Host& host, ActorId name, kj::Own<ActorBase> object, kj::Own<CallOrigin> origin);

  const ActorId& name() const { return name_; }
  ActorBase& object() { return *object_; }

  void Deliver(kj::Own<InboundCall> call);

  // The object goes: now, or a turn of the loop later when a method of it is under way, which is
  // cancelled. Its calls are answered DISCONNECTED.
  void End();
  // The same when the client goes. Nobody is answered any more.
  void Abandon();
  bool ended() const { return ended_; }

 private:
  Task<void> RunAll();
  void Finish(CallOutcome&& outcome);
  kj::Exception Ended() const;

  Host& host_;
  const ActorId name_;
  kj::Own<ActorBase> object_;
  kj::Own<CallOrigin> origin_;
  ToldSeen told_seen_;
  std::deque<kj::Own<InboundCall>> waiting_;
  size_t waiting_bytes_ = 0;
  kj::Own<InboundCall> open_;  // Whose method runs.
  bool busy_ = false;          // RunAll() is under way.
  bool ended_ = false;
  kj::Promise<void> running_ = nullptr;
};

class Observers {
 public:
  // `worker`: that the client's links ask for.
  Observers(Host& host, uint16_t worker);
  ~Observers() noexcept(false);
  KJ_DISALLOW_COPY(Observers);

  kj::Own<ObserverMailbox> Add(uint64_t type, kj::Own<ActorBase> object,
                               kj::Own<CallOrigin> origin);
  const Id128& secret() const { return secret_; }
  bool Owns(const ActorId& name) const;

  void Deliver(kj::Own<InboundCall> call);
  void Abandon();

 private:
  Host& host_;
  const Id128 secret_;
  const Id128 client_;
  const uint16_t worker_;
  uint64_t next_ = 1;
  std::map<uint64_t, kj::Own<ObserverMailbox>> mailboxes_;  // Ended ones go when they are met.
  size_t sweep_at_ = 64;
};

}  // namespace troupe
