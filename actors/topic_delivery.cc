#include "troupe/actors/topic_delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/schema.h"
#include "troupe/actors/call.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kPauseMin = absl::Milliseconds(20);
constexpr absl::Duration kPauseMax = absl::Seconds(2);
constexpr size_t kBatchMessages = 64;  // Of one call to a reader; it answers when they are done.
constexpr size_t kBatchBytes = 64 << 10;
constexpr uint16_t kMissedMethod = 0, kDeliverMethod = 0;
constexpr uint64_t kNotice = 1;  // The part of a number that is not the message.

}  // namespace

TopicDelivery::TopicDelivery(std::string topic, TopicBook& book, ResumeContext& work, Owner& owner)
    : topic_(std::move(topic)),
      book_(book),
      work_(work),
      owner_(owner),
      errors_(owner),
      tasks_(errors_) {}

void TopicDelivery::Errors::taskFailed(kj::Exception&& exception) {
  owner.log().Error("delivery of a topic ended", {{"error", Words(exception)}});
}

void TopicDelivery::Proceed() {
  for (const auto& [serial, subscriber] : book_.subscribers()) {
    auto& sending = sending_[serial];
    if (sending.busy || !IsToGet(subscriber, sending)) continue;
    sending.busy = true;
    tasks_.add(Serve(serial));
  }
}

bool TopicDelivery::IsToGet(const TopicSubscriber& to, const Sending& sending) const {
  return to.missed > 0 || (to.notice > 0 && !sending.noticed) ||
         std::max(to.delivered, sending.delivered) + 1 < book_.next();
}

bool TopicDelivery::Next(const TopicSubscriber& to, const Sending& sending, NumberedCall& call,
                         uint64_t& delivers) const {
  if (to.notice > 0 && !sending.noticed) {
    OutgoingMessage message;
    auto params = message.root().initAs<schema::Listener::MissedParams>();
    params.setTopic(kj::StringPtr(topic_.c_str(), topic_.size()));
    params.setCount(to.notice);
    params.setNext(to.notice_next);
    delivers = 0;
    call = {to.id,         capnp::typeId<schema::Listener>(),
            kMissedMethod, message.Take(),
            to.serial,     to.notice_next,
            kNotice,       to.oldest()};
    return true;
  }
  const uint64_t number = std::max(to.delivered, sending.delivered) + 1;
  if (number >= book_.next()) return false;
  delivers = number;
  if (to.is_reader()) {
    call = Batch(to, number);
    return true;
  }
  const auto& message = book_.At(number);
  call = {to.id,      message.interface_id, message.method_id, message.params, to.serial, number,
          /*part=*/0, to.oldest()};
  return true;
}

NumberedCall TopicDelivery::Batch(const TopicSubscriber& to, uint64_t from) const {
  size_t bytes = 0;
  uint64_t end = from;
  while (end < book_.next() && end - from < kBatchMessages &&
         (end == from || bytes < kBatchBytes)) {
    bytes += book_.At(end++).bytes();
  }
  OutgoingMessage message(static_cast<unsigned>(bytes / sizeof(capnp::word) + 64));
  auto params = message.root().initAs<schema::TopicReader::DeliverParams>();
  params.setLog(book_.log());
  params.setFirst(from);
  auto messages = params.initMessages(static_cast<unsigned>(end - from));
  for (unsigned i = 0; i < messages.size(); ++i) WriteMessage(book_.At(from + i), messages[i]);
  NumberedCall call{
      to.id, capnp::typeId<schema::TopicReader>(), kDeliverMethod, message.Take(), to.serial, from};
  call.told = false;  // Its answer says that they are done.
  return call;
}

Task<void> TopicDelivery::Serve(uint64_t serial) {
  for (;;) {
    const TopicSubscriber* to = book_.Find(serial);
    if (to == nullptr) {
      sending_.erase(serial);
      co_return;
    }
    auto& sending = sending_[serial];
    if (to->missed > 0 && (to->notice == 0 || sending.noticed)) {
      auto begun = work_.InTurn([this, serial] {
        NoteInBook();
        book_.BeginNotice(serial);
      });
      co_await begun;
      continue;
    }
    NumberedCall call;
    uint64_t delivers = 0;
    if (!Next(*to, sending, call, delivers)) {
      sending.busy = false;
      co_return;
    }
    auto called = work_.Call(std::move(call));
    auto outcome = co_await Settled(called);
    to = book_.Find(serial);
    if (to == nullptr) continue;
    if (outcome.ok()) {
      OnDelivered(*to, sending, delivers, &outcome.value());
      continue;
    }
    const auto& error = outcome.exception();
    const bool none = error.getType() == kj::Exception::Type::UNIMPLEMENTED && delivers == 0;
    if (none || error.getType() == kj::Exception::Type::FAILED) {
      // Its own error; or it does not want to be told what it missed.
      if (!none) {
        owner_.log().Warning(
            "a subscriber failed at a message, and is sent the next",
            {{"topic", topic_}, {"to", to->id.ToString()}, {"error", Words(error)}});
      }
      OnDelivered(*to, sending, delivers, nullptr);
      continue;
    }
    if (sending.pause == absl::ZeroDuration()) {
      sending.failing_since = owner_.WallNow();
      owner_.log().Debug("a subscriber cannot be reached",
                         {{"topic", topic_}, {"to", to->id.ToString()}, {"error", Words(error)}});
    }
    if (GivesUp(*to, sending)) {
      owner_.log().Info("an observer that cannot be reached is no subscriber any more",
                        {{"topic", topic_}, {"observer", to->id.ToString()}});
      auto out = work_.InTurn([this, serial] {
        if (const auto* gone = book_.Find(serial)) book_.Unsubscribe(ActorId(gone->id));
      });
      co_await out;
      continue;
    }
    sending.pause = std::clamp(sending.pause * 2, kPauseMin, kPauseMax);
    auto pause = work_.Pause(sending.pause);
    co_await pause;
  }
}

void TopicDelivery::OnDelivered(const TopicSubscriber& to, Sending& sending, uint64_t delivers,
                                const Payload* results) {
  sending.pause = absl::ZeroDuration();
  sending.failing_since = absl::InfiniteFuture();
  if (delivers == 0) {
    sending.noticed = true;
  } else if (to.is_reader() && results != nullptr) {
    uint64_t next = 0;
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] {
                   capnp::FlatArrayMessageReader message(results->words());
                   next = message.getRoot<schema::TopicReader::DeliverResults>().getNext();
                 })) {
      owner_.log().Warning("a reader's answer cannot be read",
                           {{"topic", topic_}, {"error", Words(*e)}});
    }
    // One that wants what is gone, or is not there yet, gets what there is.
    sending.delivered = std::clamp(next, delivers + 1, book_.next()) - 1;
  } else {
    sending.delivered = std::max(sending.delivered, delivers);
  }
  owner_.OnProgress();
}

bool TopicDelivery::GivesUp(const TopicSubscriber& to, const Sending& sending) const {
  return to.is_observer() && owner_.WallNow() > sending.failing_since + kObserverPatience;
}

void TopicDelivery::NoteInBook() {
  for (auto it = sending_.begin(); it != sending_.end();) {
    auto& [serial, sending] = *it;
    if (book_.Find(serial) == nullptr) {
      it = sending.busy ? std::next(it) : sending_.erase(it);
      continue;
    }
    book_.Delivered(serial, sending.delivered);
    if (std::exchange(sending.noticed, false)) book_.EndNotice(serial);
    ++it;
  }
}

void TopicDelivery::Settle() {
  for (const auto& [serial, subscriber] : book_.subscribers()) {
    auto& sending = sending_[serial];
    const uint64_t mark = subscriber.oldest();
    if (subscriber.is_observer() || sending.settled >= mark) continue;
    sending.settled = mark;
    SendSettle(subscriber.id, serial, mark);
  }
}

void TopicDelivery::SettleLeft(const TopicSubscriber& left) {
  if (left.is_observer()) return;
  // Above what may be under way, which is refused from then on.
  SendSettle(left.id, left.serial, std::max(book_.next(), left.oldest()) + 1);
}

// That nobody hears it costs the subscriber a record; until it hears a later one.
void TopicDelivery::SendSettle(const ActorId& to, uint64_t serial, uint64_t mark) {
  NumberedCall call{to,   kActivationInterface, kSettleMethod, EmptyResults(), serial,
                    mark, /*part=*/kNotice,     mark};
  tasks_.add(work_.Call(std::move(call)).then([](Payload&&) {}, [](kj::Exception&&) {}));
}

}  // namespace troupe
