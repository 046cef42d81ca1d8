#include "troupe/actors/child_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {

// What the object calls by. Outlives it in refs.
class ChildGroup::Run::OwnOrigin final : public CallOrigin {
 public:
  explicit OwnOrigin(Run& run) : run_(&run) {}
  void Detach() { run_ = nullptr; }

  kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                            Payload params, const CallOptions& options) override {
    if (run_ == nullptr) return Disconnected("the calling child has ended");
    auto within = run_->CallsWithin();
    if (IsChildKey(target.key)) {
      return run_->group_->Call(target, interface_id, method_id, std::move(params), options,
                                std::move(within));
    }
    CallHeader header{target, interface_id, method_id, {}, {}};
    // Whoever waits for the child waits for this call, too.
    std::erase_if(within.chain, [](const ChainLink& link) { return IsChildKey(link.actor.key); });
    header.chain = std::move(within.chain);
    header.metadata = within.metadata.And(options.metadata);
    const absl::Time now = run_->host().clock().Now();
    const absl::Time deadline =
        std::min(now + std::min(options.TimeLimit(), kDeadlineMax), within.deadline);
    return run_->CallOut(std::move(header), std::move(params), deadline);
  }

 private:
  Run* run_;
};

ChildGroup::Run::Run(ChildGroup& group, ParentSide& parent, std::string name, ActorId id)
    : StatelessContext(parent.host()),
      group_(&group),
      host_(parent.host()),
      parent_(parent),
      number_(host_.RandomId().lo),
      name_(std::move(name)),
      id_(std::move(id)),
      origin_(kj::refcounted<OwnOrigin>(*this)),
      timers_(host_.timer(), *this),
      mailbox_(kj::refcounted<ObjectMailbox>(host_, name_, kj::addRef(*origin_),
                                             static_cast<ObjectMailbox::Owner&>(*this))) {}

ChildGroup::Run::~Run() noexcept(false) { kj::downcast<OwnOrigin>(*origin_).Detach(); }

void ChildGroup::Run::Open(const Make& make) {
  opened_ = true;
  kj::Own<ActorBase> object;
  auto failure = kj::runCatchingExceptions([&] {
    object = make();
    object->Attach(*this);
  });
  KJ_IF_MAYBE (e, failure) return group_->OnFailed(*this, *e);
  mailbox_->RunFirst([this, &object = *object]() -> kj::Promise<void> {
    return object.OnActivate().AsPromise().then([this] {
      if (group_ == nullptr) return;
      activated_ = true;
      group_->OnActivated();
    });
  });
  mailbox_->Open(kj::mv(object));
}

void ChildGroup::Run::End(const kj::Exception& why) {
  group_ = nullptr;
  kj::downcast<OwnOrigin>(*origin_).Detach();
  timers_.CancelAll();
  mailbox_->End(why);
}

kj::Promise<Payload> ChildGroup::Run::CallOut(CallHeader header, Payload params,
                                              absl::Time deadline) {
  if (group_ == nullptr) return Disconnected("the calling child has ended");
  return parent_.CallOut(std::move(header), std::move(params), deadline);
}

ParentSide::Within ChildGroup::Run::CallsWithin() const {
  Within out;
  const auto* call = mailbox_->running();
  if (call == nullptr) return out;
  out.chain = call->header().chain;
  out.chain.push_back({id_, number_});
  out.deadline = call->deadline();
  out.metadata = call->header().metadata;
  return out;
}

void ChildGroup::Run::OnError(const InboundCall* call, const kj::Exception& error) {
  if (group_ == nullptr) return;
  const auto* slot = group_->Find(NameOfChildKey(id_.key));
  const bool answers = slot != nullptr && slot->options.errors == ChildOptions::Errors::kAreAnswers;
  if (call != nullptr && answers && error.getType() == kj::Exception::Type::FAILED) return;
  group_->OnFailed(*this, error);
}

void ChildGroup::Run::OnTimer(kj::Own<ActorTimer::Entry> entry) {
  mailbox_->Run([this, entry = kj::mv(entry)]() mutable -> kj::Promise<void> {
    if (entry->cancelled()) return kj::READY_NOW;
    auto& work = *entry;
    return work.Run().then([this, entry = kj::mv(entry)]() mutable {
      if (group_ != nullptr) timers_.Ended(*entry);
    });
  });
}

void ChildGroup::Run::Discard(kj::Promise<void> wait) {
  parent_.RunLater([wait = kj::mv(wait)]() mutable { wait = nullptr; });
}

void ChildGroup::Run::Deactivate() {
  if (group_ == nullptr) return;
  // After what runs now, which asks for it.
  mailbox_->RunFirst([this]() -> kj::Promise<void> {
    if (group_ != nullptr) group_->OnEnded(*this);
    return kj::READY_NOW;
  });
}

kj::Exception ChildGroup::Run::Refusal(std::string_view asked) const {
  return Failed(absl::StrCat(
      name_, " called ", std::string(asked),
      ": a child keeps nothing and has no turns of its parent's; have the parent do it"));
}

}  // namespace troupe
