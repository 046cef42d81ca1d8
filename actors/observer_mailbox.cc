#include "troupe/actors/observer_mailbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/method_context.h"
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
    : host_(host), name_(std::move(name)), object_(kj::mv(object)), origin_(kj::mv(origin)) {}

kj::Exception ObserverMailbox::Ended() const { return NoSuchObserver(name_); }

void ObserverMailbox::Deliver(kj::Own<InboundCall> call) {
  if (ended_) return call->Finish(Ended());
  const size_t bytes = call->params().size_bytes();
  if (waiting_.size() >= kObserverMailboxMax ||
      (waiting_bytes_ > 0 && waiting_bytes_ + bytes > kObserverMailboxBytesMax)) {
    return call->Finish(Overloaded(
        absl::StrCat("observer ", name_.ToString(), " has ", waiting_.size(),
                     " calls waiting, with ", waiting_bytes_, " bytes of parameters; at most ",
                     kObserverMailboxMax, ", or ", kObserverMailboxBytesMax, " bytes, can wait")));
  }
  // A told one is answered once it is here: who told it need not wait for what comes of it.
  if (const auto* told = ToldCall(call->header().id); told != nullptr) {
    call->Finish(EmptyResults());
    if (!told_seen_.Take(*told)) return;
  }
  waiting_bytes_ += bytes;
  waiting_.push_back(kj::mv(call));
  if (busy_) return;
  busy_ = true;
  running_ = RunAll().AsPromise().eagerlyEvaluate([this](kj::Exception&& e) {
    host_.log().Error("observer ended", {{"observer", name_.ToString()}, {"error", Words(e)}});
  });
}

Task<void> ObserverMailbox::RunAll() {
  auto later = kj::evalLater([] {});  // Not within what delivers.
  co_await later;
  while (!waiting_.empty()) {
    auto call = kj::mv(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= call->params().size_bytes();
    if (call->deadline() <= host_.clock().Now()) {
      call->Finish(Overloaded(absl::StrCat("a call to observer ", name_.ToString(),
                                           " waited for its turn past its deadline")));
      continue;
    }
    auto context = kj::refcounted<MethodContext>(call->params(), kj::addRef(*origin_));
    open_ = kj::mv(call);
    auto done = kj::evalNow([&] {
      const auto& header = open_->header();
      return object_->server()
          .dispatchCall(header.interface_id, header.method_id, AnyCall(*context))
          .promise;
    });
    auto settled = co_await Settled(done);
    CallOutcome outcome;
    kj::Maybe<kj::Exception> failure;
    if (settled.ok()) {
      failure = context->TakeResults(
          [&] { return absl::StrCat("a call to observer ", name_.ToString()); }, outcome);
    } else {
      failure = kj::mv(settled.exception());
    }
    KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::mv(*e));
    Finish(std::move(outcome));
  }
  busy_ = false;
}

void ObserverMailbox::Finish(CallOutcome&& outcome) {
  if (open_.get() == nullptr) return;  // Answered: the object was dropped meanwhile.
  auto call = kj::mv(open_);
  const auto* failure = std::get_if<kj::Exception>(&outcome);
  if (failure != nullptr && ToldCall(call->header().id) != nullptr && !ended_) {
    host_.log().Warning("an observer failed at what it was told",
                        {{"observer", name_.ToString()}, {"error", Words(*failure)}});
  }
  call->Finish(std::move(outcome));
}

void ObserverMailbox::End() {
  if (std::exchange(ended_, true)) return;
  Finish(Ended());
  for (auto& call : std::exchange(waiting_, {})) call->Finish(Ended());
  waiting_bytes_ = 0;
  told_seen_ = {};
  if (!busy_) {
    object_ = nullptr;
    return;
  }
  // It may be what runs now, and KJ lets nothing destroy that.
  kj::evalLater([self = kj::addRef(*this)]() mutable {
    self->running_ = nullptr;
    self->object_ = nullptr;
  }).detach([](kj::Exception&&) {});
}

void ObserverMailbox::Abandon() {
  if (open_.get() != nullptr) open_->Abandon();
  for (auto& call : waiting_) call->Abandon();
  open_ = nullptr;
  waiting_.clear();
  running_ = nullptr;
  ended_ = true;
  object_ = nullptr;
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
