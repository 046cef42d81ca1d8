#include "troupe/actors/object_mailbox.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/method_context.h"
#include "troupe/rpc/status.h"

namespace troupe {

ObjectMailbox::ObjectMailbox(Host& host, std::string name, kj::Own<CallOrigin> origin, Owner& owner)
    : host_(host), name_(std::move(name)), origin_(kj::mv(origin)), owner_(owner) {}

void ObjectMailbox::Open(kj::Own<ActorBase> object) {
  object_ = kj::mv(object);
  Proceed();
}

bool ObjectMailbox::full(size_t bytes) const {
  return waiting_.size() >= kObjectMailboxMax ||
         (waiting_bytes_ > 0 && waiting_bytes_ + bytes > kObjectMailboxBytesMax);
}

void ObjectMailbox::Deliver(kj::Own<InboundCall> call) {
  const size_t bytes = call->params().size_bytes();
  if (full(bytes)) {
    return call->Finish(
        Overloaded(absl::StrCat(name_, " has ", waiting_.size(), " calls waiting, with ",
                                waiting_bytes_, " bytes of parameters; at most ", kObjectMailboxMax,
                                ", or ", kObjectMailboxBytesMax, " bytes, can wait")));
  }
  waiting_bytes_ += bytes;
  waiting_.push_back({kj::mv(call)});
  Proceed();
}

void ObjectMailbox::Run(Work work) {
  waiting_.push_back({{}, kj::mv(work)});
  Proceed();
}

void ObjectMailbox::RunFirst(Work work) {
  waiting_.push_front({{}, kj::mv(work)});
  Proceed();
}

void ObjectMailbox::Proceed() {
  if (busy_ || object_.get() == nullptr || waiting_.empty()) return;
  busy_ = true;
  running_ = RunAll().AsPromise().eagerlyEvaluate([this](kj::Exception&& e) {
    host_.log().Error("an object's calls ended", {{"object", name_}, {"error", Words(e)}});
  });
}

Task<void> ObjectMailbox::RunAll() {
  auto later = kj::evalLater([] {});  // Not within what delivers.
  co_await later;
  while (!waiting_.empty()) {
    auto item = std::move(waiting_.front());
    waiting_.pop_front();
    if (item.call.get() == nullptr) {
      auto done = kj::evalNow([&] { return item.work(); });
      auto settled = co_await Settled(done);
      if (!settled.ok() && !ended_) owner_.OnError(nullptr, settled.exception());
      continue;
    }
    waiting_bytes_ -= item.call->params().size_bytes();
    if (item.call->deadline() <= host_.clock().Now()) {
      item.call->Finish(
          Overloaded(absl::StrCat("a call to ", name_, " waited for its turn past its deadline")));
      continue;
    }
    open_ = kj::mv(item.call);
    auto one = RunOne(*open_);
    co_await one;
  }
  busy_ = false;
}

Task<void> ObjectMailbox::RunOne(InboundCall& call) {
  auto context = kj::refcounted<MethodContext>(call.params(), kj::addRef(*origin_));
  auto done = kj::evalNow([&] {
    const auto& header = call.header();
    return object_->server()
        .dispatchCall(header.interface_id, header.method_id, AnyCall(*context))
        .promise;
  });
  auto settled = co_await Settled(done);
  CallOutcome outcome;
  kj::Maybe<kj::Exception> failure;
  if (settled.ok()) {
    failure = context->TakeResults([&] { return absl::StrCat("a call to ", name_); }, outcome);
  } else {
    failure = kj::mv(settled.exception());
  }
  KJ_IF_MAYBE (e, failure) outcome.emplace<kj::Exception>(kj::mv(*e));
  Finish(std::move(outcome));
}

void ObjectMailbox::Finish(CallOutcome&& outcome) {
  if (open_.get() == nullptr) return;  // Answered: the object was dropped meanwhile.
  auto call = kj::mv(open_);
  if (const auto* failure = std::get_if<kj::Exception>(&outcome)) {
    const auto error = kj::cp(*failure);
    call->Finish(std::move(outcome));
    if (!ended_) owner_.OnError(call.get(), error);
    return;
  }
  call->Finish(std::move(outcome));
}

void ObjectMailbox::End(const kj::Exception& why) {
  if (std::exchange(ended_, true)) return;
  Finish(kj::cp(why));
  for (auto& item : std::exchange(waiting_, {})) {
    if (item.call.get() != nullptr) item.call->Finish(kj::cp(why));
  }
  waiting_bytes_ = 0;
}

void ObjectMailbox::Drop() {
  running_ = nullptr;
  object_ = nullptr;
}

void ObjectMailbox::Abandon() {
  if (open_.get() != nullptr) open_->Abandon();
  for (auto& item : waiting_) {
    if (item.call.get() != nullptr) item.call->Abandon();
  }
  open_ = nullptr;
  waiting_.clear();
  ended_ = true;
  Drop();
}

}  // namespace troupe
