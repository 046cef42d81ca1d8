#include "troupe/actors/topic_actor.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kj/common.h"
#include "troupe/actors/named_key.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// From the first delivery that the state does not say to the turn that notes it, and all others by
// then. After a failover what is not noted is delivered again, and found to be known.
constexpr absl::Duration kNoteAfter = absl::Milliseconds(50);
// Without anything to deliver, before subscribers are told that they may forget.
constexpr absl::Duration kSettleAfter = absl::Seconds(5);

}  // namespace

std::string Topic::Name() { return std::string(NameInKey(context().key())); }

void Topic::BeginTurn() {
  if (book_.log() == 0) {
    book_.BeginLog(
        static_cast<uint64_t>(std::max<int64_t>(1, absl::ToUnixNanos(context().WallNow()))));
  }
  if (delivery_ != nullptr) delivery_->NoteInBook();
}

// At the end of a turn: what it leaves is delivered when it is safe.
void Topic::Proceed() {
  if (book_.all_delivered()) return;
  context().RequestResume();
  if (delivery_ != nullptr) delivery_->Proceed();
}

kj::Promise<void> Topic::publish(PublishContext call) {
  std::vector<TopicMessage> messages;
  for (auto message : call.getParams().getMessages()) messages.push_back(ReadMessage(message));
  BeginTurn();
  auto first = book_.Publish(std::move(messages));
  if (!first.ok()) return ToException(first.status());
  call.getResults().setFirst(*first);
  Proceed();
  return kj::READY_NOW;
}

// A refusal is a result: an error would have the object made anew, and deliveries begin again.
kj::Promise<void> Topic::subscribe(SubscribeContext call) {
  auto params = call.getParams();
  BeginTurn();
  const ActorId subscriber = ReadActor(params.getSubscriber());
  const auto before = book_.Find(subscriber) != nullptr
                          ? std::optional<TopicSubscriber>(*book_.Find(subscriber))
                          : std::nullopt;
  std::optional<uint64_t> from;
  if (params.getFrom() > 0) from = params.getFrom();
  const auto next = book_.Subscribe(subscriber, from);
  if (!next.ok()) {
    const auto why = absl::StrCat("topic ", Name(), ": ", next.status().message());
    call.getResults().setRefused(kj::StringPtr(why.c_str(), why.size()));
    return kj::READY_NOW;
  }
  call.getResults().setNext(*next);
  if (before && delivery_ != nullptr && book_.Find(before->serial) == nullptr) {
    delivery_->SettleLeft(*before);
  }
  Proceed();
  return kj::READY_NOW;
}

kj::Promise<void> Topic::unsubscribe(UnsubscribeContext call) {
  BeginTurn();
  const auto gone = book_.Unsubscribe(ReadActor(call.getParams().getSubscriber()));
  call.getResults().setWas(gone.has_value());
  if (gone && delivery_ != nullptr) delivery_->SettleLeft(*gone);
  return kj::READY_NOW;
}

kj::Promise<void> Topic::isSubscribed(IsSubscribedContext call) {
  call.getResults().setIs(book_.Find(ReadActor(call.getParams().getSubscriber())) != nullptr);
  return kj::READY_NOW;
}

kj::Promise<void> Topic::look(LookContext call) {
  auto out = call.getResults();
  out.setFirst(book_.first());
  out.setNext(book_.next());
  out.setBytes(book_.bytes());
  out.setSubscribers(static_cast<uint32_t>(book_.subscribers().size()));
  return kj::READY_NOW;
}

// ---- Beside the turns

// Stays until the object goes: what is delivered next needs no new one.
Task<void> Topic::Resume(ResumeContext& work) {
  context_of_delivery_ = &context();
  TopicDelivery delivery(Name(), book_, work, *this);
  delivery_ = &delivery;
  KJ_DEFER(delivery_ = nullptr);
  delivery.Proceed();
  auto never = kj::Promise<void>(kj::NEVER_DONE);
  co_await never;
}

void Topic::OnProgress() {
  if (quiet_.running() && !settling_) return;
  settling_ = false;
  WakeAfter(kNoteAfter);
}

void Topic::WakeAfter(absl::Duration time) {
  quiet_ = context_of_delivery_->StartTimer({.after = time, .keeps_active = true},
                                            [this] { OnQuiet(); });
}

void Topic::OnQuiet() {
  BeginTurn();
  if (!book_.all_delivered()) {
    if (delivery_ != nullptr) delivery_->Proceed();
    return;
  }
  context().CancelResume();
  if (settling_) {
    if (delivery_ != nullptr) delivery_->Settle();
    return;
  }
  settling_ = true;
  WakeAfter(kSettleAfter);
}

}  // namespace troupe
