#include "troupe/actors/topic_book.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/schema.h"
#include "kj/debug.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"

namespace troupe {

bool TopicSubscriber::is_reader() const { return id.type == capnp::typeId<schema::TopicReader>(); }
bool TopicSubscriber::is_observer() const { return IsObserverKey(id.key); }

TopicBook::TopicBook(TopicOptions options) : options_(options) {
  auto within = [](size_t value, size_t largest) { return value >= 1 && value <= largest; };
  if (within(options.messages_max, kTopicLargest.messages_max) &&
      within(options.bytes_max, kTopicLargest.bytes_max) &&
      within(options.subscribers_max, kTopicLargest.subscribers_max)) {
    return;
  }
  kj::throwFatalException(Failed(absl::StrCat(
      "the log of a topic is ", options.messages_max, " messages and ", options.bytes_max,
      " bytes for ", options.subscribers_max, " subscribers; it has 1 to ",
      kTopicLargest.messages_max, " messages, 1 to ", kTopicLargest.bytes_max, " bytes and 1 to ",
      kTopicLargest.subscribers_max, " subscribers")));
}

absl::StatusOr<uint64_t> TopicBook::Publish(std::vector<TopicMessage> messages) {
  size_t bytes = 0;
  for (const auto& message : messages) bytes += message.bytes();
  if (messages.size() > options_.messages_max || bytes > options_.bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat(messages.size(), " messages with ", bytes,
                     " bytes were published at once; the log of a topic has ",
                     options_.messages_max, " messages and ", options_.bytes_max, " bytes"));
  }
  const uint64_t first = next_;
  for (auto& message : messages) log_.push_back(std::move(message));
  next_ += messages.size();
  bytes_ += bytes;
  Trim();
  return first;
}

void TopicBook::Trim() {
  const uint64_t before = first();
  while (log_.size() > options_.messages_max || bytes_ > options_.bytes_max) {
    bytes_ -= log_.front().bytes();
    log_.pop_front();
  }
  if (first() == before) return;
  const uint64_t gone = first() - 1;  // Up to here.
  for (auto& [serial, subscriber] : subscribers_) {
    if (subscriber.delivered >= gone) continue;
    if (!subscriber.is_reader()) subscriber.missed += gone - subscriber.delivered;
    subscriber.delivered = gone;
  }
}

absl::StatusOr<uint64_t> TopicBook::Subscribe(const ActorId& id, std::optional<uint64_t> from) {
  auto known = serial_of_.find(id);
  if (known != serial_of_.end()) {
    auto& subscriber = subscribers_.at(known->second);
    if (!from) return subscriber.delivered + 1;
    if (!subscriber.is_reader()) {
      // Its numbers come again: under another serial, or they would be taken for the same calls.
      Unsubscribe(id);
      return Subscribe(id, from);
    }
    subscriber.delivered = std::clamp(*from, first(), next_) - 1;
    return subscriber.delivered + 1;
  }
  if (subscribers_.size() >= options_.subscribers_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(subscribers_.size(), " have subscribed to the topic, and no more can"));
  }
  TopicSubscriber subscriber;
  subscriber.id = id;
  subscriber.serial = next_serial_++;
  const uint64_t wanted = std::min(from.value_or(next_), next_);
  subscriber.delivered = std::max(wanted, first()) - 1;
  if (!subscriber.is_reader()) subscriber.missed = subscriber.delivered + 1 - wanted;
  const uint64_t gets = subscriber.delivered + 1;
  serial_of_[id] = subscriber.serial;
  subscribers_[subscriber.serial] = std::move(subscriber);
  return gets;
}

std::optional<TopicSubscriber> TopicBook::Unsubscribe(const ActorId& id) {
  auto known = serial_of_.find(id);
  if (known == serial_of_.end()) return std::nullopt;
  auto gone = std::move(subscribers_.at(known->second));
  subscribers_.erase(known->second);
  serial_of_.erase(known);
  return gone;
}

const TopicSubscriber* TopicBook::Find(uint64_t serial) const {
  auto it = subscribers_.find(serial);
  return it == subscribers_.end() ? nullptr : &it->second;
}

const TopicSubscriber* TopicBook::Find(const ActorId& id) const {
  auto it = serial_of_.find(id);
  return it == serial_of_.end() ? nullptr : &subscribers_.at(it->second);
}

void TopicBook::Delivered(uint64_t serial, uint64_t number) {
  auto it = subscribers_.find(serial);
  if (it == subscribers_.end()) return;
  it->second.delivered = std::max(it->second.delivered, std::min(number, next_ - 1));
}

void TopicBook::BeginNotice(uint64_t serial) {
  auto it = subscribers_.find(serial);
  if (it == subscribers_.end() || it->second.notice > 0) return;
  it->second.notice = std::exchange(it->second.missed, 0);
  it->second.notice_next = it->second.delivered + 1;
}

void TopicBook::EndNotice(uint64_t serial) {
  auto it = subscribers_.find(serial);
  if (it != subscribers_.end()) it->second.notice = 0;
}

bool TopicBook::all_delivered() const {
  return std::all_of(subscribers_.begin(), subscribers_.end(), [this](const auto& entry) {
    const auto& subscriber = entry.second;
    return subscriber.delivered + 1 >= next_ && subscriber.missed == 0 && subscriber.notice == 0;
  });
}

// ---- As it is kept

void WriteMessage(const TopicMessage& message, schema::TopicMessage::Builder out) {
  out.setInterface(message.interface_id);
  out.setMethod(message.method_id);
  out.setParams(message.params.words().asBytes());
}

TopicMessage ReadMessage(schema::TopicMessage::Reader in) {
  const auto bytes = in.getParams();
  // Data begins at a word.
  const auto words = kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.begin()),
                                  bytes.size() / sizeof(capnp::word));
  CheckMessage(words);
  return {in.getInterface(), in.getMethod(), Payload::Copy(words)};
}

void TopicBook::Save(schema::TopicState::Builder out) const {
  out.setLog(life_);
  out.setNext(next_);
  auto messages = out.initMessages(static_cast<unsigned>(log_.size()));
  for (unsigned i = 0; i < messages.size(); ++i) WriteMessage(log_[i], messages[i]);
  auto subscribers = out.initSubscribers(static_cast<unsigned>(subscribers_.size()));
  unsigned i = 0;
  for (const auto& [serial, subscriber] : subscribers_) {
    auto one = subscribers[i++];
    WriteActor(subscriber.id, one.initRef());
    one.setSerial(serial);
    one.setDelivered(subscriber.delivered);
    one.setMissed(subscriber.missed);
    one.setNotice(subscriber.notice);
    one.setNoticeNext(subscriber.notice_next);
  }
  out.setNextSerial(next_serial_);
}

void TopicBook::Load(schema::TopicState::Reader in) {
  life_ = in.getLog();
  next_ = in.getNext();
  for (auto message : in.getMessages()) {
    log_.push_back(ReadMessage(message));
    bytes_ += log_.back().bytes();
  }
  for (auto one : in.getSubscribers()) {
    TopicSubscriber subscriber{ReadActor(one.getRef()), one.getSerial(), one.getDelivered(),
                               one.getMissed(),         one.getNotice(), one.getNoticeNext()};
    serial_of_[subscriber.id] = subscriber.serial;
    subscribers_[subscriber.serial] = std::move(subscriber);
  }
  next_serial_ = in.getNextSerial();
  Trim();  // The options may have become smaller.
}

}  // namespace troupe
