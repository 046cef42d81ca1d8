#include "troupe/actors/observer_mailbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

kj::Exception NoSuchObserver(const ActorId& name) {
  return Disconnected(
      absl::StrCat("observer ", name.ToString(), " has been dropped by its client"));
}

}  // namespace

ObserverMailbox::ObserverMailbox(Host& host, ActorId name, kj::Own<ActorBase> object,
                                 kj::Own<CallOrigin> origin)
    : host_(host),
      name_(std::move(name)),
      mailbox_(kj::refcounted<ObjectMailbox>(host, absl::StrCat("observer ", name_.ToString()),
                                             kj::mv(origin),
                                             static_cast<ObjectMailbox::Owner&>(*this))) {
  mailbox_->Open(kj::mv(object));
}

void ObserverMailbox::Deliver(kj::Own<InboundCall> call) {
  if (ended()) return call->Finish(NoSuchObserver(name_));
  const ActorCall* const told = ToldCall(call->header().id);
  if (told == nullptr) return mailbox_->Deliver(kj::mv(call));
  // It is answered once it is here: who told it need not wait for what comes of it.
  if (mailbox_->full(call->params().size_bytes())) return mailbox_->Deliver(kj::mv(call));
  call->Finish(EmptyResults());
  if (told_seen_.Take(*told)) mailbox_->Deliver(kj::mv(call));
}

void ObserverMailbox::OnError(const InboundCall* call, const kj::Exception& error) {
  if (call == nullptr || ToldCall(call->header().id) == nullptr) return;
  host_.log().Warning("an observer failed at what it was told",
                      {{"observer", name_.ToString()}, {"error", Words(error)}});
}

void ObserverMailbox::End() {
  if (ended()) return;
  mailbox_->End(NoSuchObserver(name_));
  told_seen_ = {};
  if (!mailbox_->busy()) return mailbox_->Drop();
  // It may be what runs now, and KJ lets nothing destroy that.
  kj::evalLater([mailbox = kj::addRef(*mailbox_), self = kj::addRef(*this)]() mutable {
    mailbox->Drop();
  }).detach([](kj::Exception&&) {});
}

Observers::Observers(Host& host, uint16_t worker)
    : host_(host), secret_(host.RandomId()), client_(ObserverClient(secret_)), worker_(worker) {}

Observers::~Observers() noexcept(false) { Abandon(); }

kj::Own<ObserverMailbox> Observers::Add(uint64_t type, kj::Own<ActorBase> object,
                                        kj::Own<CallOrigin> origin) {
  if (mailboxes_.size() >= sweep_at_) {
    std::erase_if(mailboxes_, [](auto& entry) { return entry.second->ended(); });
    sweep_at_ = std::max<size_t>(64, 2 * mailboxes_.size());
  }
  const uint64_t number = next_++;
  ActorId name{type, ObserverKey{client_, worker_, number}.Encode()};
  auto mailbox =
      kj::refcounted<ObserverMailbox>(host_, std::move(name), kj::mv(object), kj::mv(origin));
  mailboxes_[number] = kj::addRef(*mailbox);
  return mailbox;
}

bool Observers::Owns(const ActorId& name) const {
  const auto key = ObserverKey::Decode(name.key);
  return key.has_value() && key->client == client_;
}

void Observers::Deliver(kj::Own<InboundCall> call) {
  const auto& name = call->header().actor;
  const auto key = ObserverKey::Decode(name.key);
  auto it = Owns(name) ? mailboxes_.find(key->number) : mailboxes_.end();
  if (it == mailboxes_.end()) return call->Finish(NoSuchObserver(name));
  if (it->second->name() != name) {
    return call->Finish(Unimplemented(
        absl::StrCat("observer ", it->second->name().ToString(), " is not ", name.ToString())));
  }
  if (!it->second->ended()) return it->second->Deliver(kj::mv(call));
  mailboxes_.erase(it);
  call->Finish(NoSuchObserver(name));
}

void Observers::Abandon() {
  for (auto& [number, mailbox] : std::exchange(mailboxes_, {})) mailbox->Abandon();
}

}  // namespace troupe
