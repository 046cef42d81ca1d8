// ChildGroup::Run: one object of a child, from its start until it fails or ends: its mailbox, its
// timers, and what it sees of the framework.
//
// Internal to child_group.cc and child_run.cc. Single loop.
#pragma once

#include <string>

#include "troupe/actors/actor_timer.h"
#include "troupe/actors/child_group.h"
#include "troupe/actors/object_mailbox.h"
#include "troupe/actors/stateless_context.h"

namespace troupe {

class ChildGroup::Run final : private StatelessContext,
                              private ParentSide,
                              private ObjectMailbox::Owner,
                              private ActorTimers::Owner {
 public:
  Run(ChildGroup& group, ParentSide& parent, std::string name, ActorId id);
  ~Run() noexcept(false);

  void Open(const Make& make);
  bool opened() const { return opened_; }
  bool activated() const { return activated_; }  // It has had its OnActivate().
  uint64_t number() const { return number_; }
  void Deliver(kj::Own<InboundCall> call) { mailbox_->Deliver(kj::mv(call)); }
  void End(const kj::Exception& why);  // To be destroyed on a clean stack, by RunLater().

 private:
  class OwnOrigin;

  // ObjectMailbox::Owner
  void OnError(const InboundCall* call, const kj::Exception& error) override;
  // ActorTimers::Owner
  void OnTimer(kj::Own<ActorTimer::Entry> entry) override;
  void Discard(kj::Promise<void> wait) override;
  // ParentSide, to children of its own
  Host& host() override { return host_; }
  std::string ParentName() const override { return name_; }
  Within CallsWithin() const override;
  void RunLater(kj::Function<void()> work) override { parent_.RunLater(kj::mv(work)); }
  kj::Promise<Payload> CallOut(CallHeader header, Payload params, absl::Time deadline) override;
  // ActorContext
  const ActorId& id() const override { return id_; }
  void Deactivate() override;
  kj::Own<CallOrigin> Origin() override { return kj::addRef(*origin_); }
  ActorTimer AddTimer(TimerOptions options, ActorTimer::Entry::Work work) override {
    return timers_.Start(options, kj::mv(work));
  }
  ParentSide& AsParent() override { return *this; }
  kj::Exception Refusal(std::string_view asked) const override;

  ChildGroup* group_;  // Null: it has ended.
  Host& host_;
  ParentSide& parent_;
  const uint64_t number_;  // Of no other.
  const std::string name_;
  const ActorId id_;
  bool opened_ = false;
  bool activated_ = false;
  kj::Own<CallOrigin> origin_;
  ActorTimers timers_;
  kj::Own<ObjectMailbox> mailbox_;
};

}  // namespace troupe
