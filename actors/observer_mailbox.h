// ObserverMailbox: one observer of a client, with the calls that wait for it; Observers: all of one
// client.
//
// Internal to Client and Observer. Single loop. An observer runs one call at a time, in order of
// arrival (ObjectMailbox), and of what it is told nothing twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "kj/async.h"
#include "kj/refcount.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/call.h"
#include "troupe/actors/object_mailbox.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/told_seen.h"
#include "troupe/runtime/host.h"

namespace troupe {

class ObserverMailbox final : public kj::Refcounted, private ObjectMailbox::Owner {
 public:
  // `host` and whom `origin` is of outlive the call of End(). Refs among parameters call by
  // `origin`.
  ObserverMailbox(Host& host, ActorId name, kj::Own<ActorBase> object, kj::Own<CallOrigin> origin);

  const ActorId& name() const { return name_; }

  void Deliver(kj::Own<InboundCall> call);

  // The object goes: now, or a turn of the loop later when a method of it is under way, which is
  // cancelled. Its calls are answered DISCONNECTED.
  void End();
  // The same when the client goes. Nobody is answered any more.
  void Abandon() { mailbox_->Abandon(); }
  bool ended() const { return mailbox_->ended(); }

 private:
  void OnError(const InboundCall* call, const kj::Exception& error) override;

  Host& host_;
  const ActorId name_;
  ToldSeen told_seen_;
  kj::Own<ObjectMailbox> mailbox_;
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
