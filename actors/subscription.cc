#include "troupe/actors/subscription.h"

#include <algorithm>
#include <utility>

#include "capnp/schema.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/client.h"
#include "troupe/actors/ref.h"
#include "troupe/actors/ref_message.h"
#include "troupe/actors/topic.capnp.h"
#include "troupe/actors/topic_book.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe {
namespace {

// How often it asks whether the topic still has it: it is put out when its client was away.
constexpr absl::Duration kAskEvery = absl::Seconds(10);

using DeliverCall =
    capnp::CallContext<schema::TopicReader::DeliverParams, schema::TopicReader::DeliverResults>;

}  // namespace

// What is known of the topic, and the object's ref. Outlived by no call of the reader's.
class Subscription::Reading final : public kj::Refcounted {
 public:
  Reading(Client& client, ActorId topic, std::string name, ActorId observer,
          std::optional<uint64_t> from)
      : client_(client),
        topic_(std::move(topic)),
        name_(std::move(name)),
        observer_(std::move(observer)),
        next_(from.value_or(0)) {}

  // The observer that the topic calls; its object holds on to this.
  void Observe(kj::Own<ObserverMailbox> mailbox) { mailbox_ = kj::mv(mailbox); }

  kj::Promise<void> Ask(uint64_t from) {
    auto request = Topic().subscribeRequest();
    WriteActor(mailbox_->name(), request.initSubscriber());
    request.setFrom(from);
    return request.send().then([this](auto&& results) -> kj::Promise<void> {
      const auto refused = results.getRefused();
      if (refused.size() > 0) return Overloaded({refused.begin(), refused.size()});
      if (log_ == 0 && (next_ == 0 || results.getNext() < next_)) next_ = results.getNext();
      return kj::READY_NOW;
    });
  }
  void KeepAsking() { asking_ = AskAgain().AsPromise().eagerlyEvaluate(nullptr); }

  Task<void> Deliver(DeliverCall call) {
    auto params = call.getParams();
    const bool other = log_ != params.getLog();
    // A topic that has lost its state counts anew; before the first, a number is only a wish.
    if (other && (log_ != 0 || next_ == 0 || params.getFirst() < next_)) next_ = params.getFirst();
    log_ = params.getLog();
    if (params.getFirst() > next_) {
      const uint64_t count = params.getFirst() - std::exchange(next_, params.getFirst());
      missed_ += count;
      auto told = TellMissed(count);
      co_await told;
    }
    uint64_t number = params.getFirst();
    for (auto message : params.getMessages()) {
      if (number++ < next_) continue;
      next_ = number;
      auto read = ReadMessage(message);
      auto run = Run(read.interface_id, read.method_id, std::move(read.params));
      co_await run;
    }
    call.getResults().setNext(next_);
  }

  // Whatever becomes of the calls of the reader that are under way.
  void End() {
    asking_ = nullptr;
    if (mailbox_.get() == nullptr) return;
    auto request = Topic().unsubscribeRequest();
    WriteActor(mailbox_->name(), request.initSubscriber());
    request.send().ignoreResult().detach([](kj::Exception&&) {});
    auto mailbox = kj::mv(mailbox_);
    mailbox->End();
  }

  uint64_t next() const { return next_; }
  uint64_t missed() const { return missed_; }

 private:
  schema::Topic::Client Topic() {
    return ReferTo(client_.Origin(), topic_, {}).castAs<schema::Topic>();
  }

  // The object's own call, in its order; its error is its own affair.
  kj::Promise<void> Run(uint64_t interface_id, uint16_t method_id, Payload params) {
    return client_.Origin()
        ->Call(observer_, interface_id, method_id, std::move(params),
               {.deadline = absl::Minutes(5)})
        .then([](Payload&&) {}, [](kj::Exception&&) {});
  }
  kj::Promise<void> TellMissed(uint64_t count) {
    OutgoingMessage message;
    auto params = message.root().initAs<schema::Listener::MissedParams>();
    params.setTopic(kj::StringPtr(name_.c_str(), name_.size()));
    params.setCount(count);
    params.setNext(next_);
    return Run(capnp::typeId<schema::Listener>(), 0, message.Take());
  }

  Task<void> AskAgain() {
    for (;;) {
      auto pause = client_.timer().afterDelay(ToKj(kAskEvery));
      co_await pause;
      auto request = Topic().isSubscribedRequest();
      WriteActor(mailbox_->name(), request.initSubscriber());
      auto asked = request.send().then([](auto&& results) { return results.getIs(); });
      auto is = co_await Settled(asked);
      if (!is.ok() || is.value()) continue;
      auto again = Ask(std::max<uint64_t>(1, next_));
      auto done = co_await Settled(again);  // Else in a while.
      (void)done;
    }
  }

  Client& client_;
  const ActorId topic_;
  const std::string name_;
  const ActorId observer_;
  uint64_t log_ = 0;  // Of the topic that the numbers are of; 0: none is known.
  uint64_t next_;     // 0: whichever comes.
  uint64_t missed_ = 0;
  kj::Own<ObserverMailbox> mailbox_;
  kj::Promise<void> asking_ = nullptr;
};

namespace {

class ReaderObject final : public ActorOf<schema::TopicReader> {
 public:
  explicit ReaderObject(kj::Own<Subscription::Reading> reading) : reading_(kj::mv(reading)) {}

 private:
  kj::Promise<void> deliver(DeliverContext call) override { return reading_->Deliver(call); }
  void SaveState(capnp::AnyPointer::Builder) const override {}
  void LoadState(capnp::AnyPointer::Reader) override {}

  kj::Own<Subscription::Reading> reading_;
};

}  // namespace

Subscription::Subscription() noexcept = default;
Subscription::Subscription(kj::Own<Reading> reading) noexcept : reading_(kj::mv(reading)) {}
Subscription::Subscription(Subscription&&) noexcept = default;
Subscription& Subscription::operator=(Subscription&& other) noexcept {
  End();
  reading_ = kj::mv(other.reading_);
  return *this;
}
Subscription::~Subscription() noexcept { End(); }

void Subscription::End() {
  if (reading_.get() == nullptr) return;
  reading_->End();
  reading_ = nullptr;
}

uint64_t Subscription::next() const { return reading_.get() == nullptr ? 0 : reading_->next(); }
uint64_t Subscription::missed() const { return reading_.get() == nullptr ? 0 : reading_->missed(); }

Task<Subscription> Subscription::Begin(Client& client, ActorId topic, std::string name,
                                       ActorId observer, std::optional<uint64_t> from) {
  auto reading =
      kj::refcounted<Reading>(client, std::move(topic), std::move(name), std::move(observer), from);
  reading->Observe(client.Observe(capnp::typeId<schema::TopicReader>(),
                                  kj::heap<ReaderObject>(kj::addRef(*reading))));
  Subscription out(kj::mv(reading));
  auto asked = out.reading_->Ask(from ? std::max<uint64_t>(1, *from) : 0);
  co_await asked;
  out.reading_->KeepAsking();
  co_return kj::mv(out);
}

}  // namespace troupe
