// TopicBook: what a topic keeps: the last messages, and how far each subscriber has got.
//
// Pure; not thread-safe. The state of the Topic actor (topic_actor.h). Publishing never waits: the
// oldest messages go, and whoever has not had them has missed them. Errors: ResourceExhausted and
// InvalidArgument, naming the bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/topic.capnp.h"
#include "troupe/rpc/payload.h"

namespace troupe {

// The same on every node that hosts topics. Given to Host<Topic>() by a factory, see topic_actor.h.
struct TopicOptions {
  // The log, from which slow subscribers and those that come again are served. All of it is written
  // with each change of the topic. The default is a second of some hundred messages each of some
  // hundred bytes: as long as a subscriber's node takes to fail over.
  size_t messages_max = 1024;
  size_t bytes_max = 256 << 10;
  size_t subscribers_max = 1024;
};

// What options may say: it fits the state of an actor.
inline constexpr TopicOptions kTopicLargest = {
    .messages_max = 65536, .bytes_max = 4 << 20, .subscribers_max = 2048};

struct TopicMessage {
  uint64_t interface_id = 0;
  uint16_t method_id = 0;
  Payload params;
  size_t bytes() const { return params.size_bytes() + 32; }
};

struct TopicSubscriber {
  ActorId id;
  uint64_t serial = 0;
  uint64_t delivered = 0;    // Up to this number nothing is to be delivered any more.
  uint64_t missed = 0;       // Of those, and not being told of.
  uint64_t notice = 0;       // Being told of, with ...
  uint64_t notice_next = 0;  // ... this number of the next message.
  bool is_reader() const;    // A TopicReader, which sees by itself what it has missed.
  bool is_observer() const;  // Of a client; a reader is one.
  // The lowest number that it may yet be asked about.
  uint64_t oldest() const { return notice > 0 ? notice_next : delivered + 1; }
};

class TopicBook {
 public:
  // Throws FAILED for options beyond kTopicLargest, or of zero.
  explicit TopicBook(TopicOptions options);

  // Returns the number of the first. Whoever has not had what goes for it has missed that.
  absl::StatusOr<uint64_t> Publish(std::vector<TopicMessage> messages);
  // From that number on, or the next; returns the number of the first that it gets. One that is
  // there already goes on, and from `from` only as a new subscription.
  absl::StatusOr<uint64_t> Subscribe(const ActorId& subscriber, std::optional<uint64_t> from);
  // The subscription that has ended.
  std::optional<TopicSubscriber> Unsubscribe(const ActorId& subscriber);

  // Up to there; lower than before is passed over.
  void Delivered(uint64_t serial, uint64_t number);
  // It is to be told what it has missed so far; and it has been.
  void BeginNotice(uint64_t serial);
  void EndNotice(uint64_t serial);

  const std::map<uint64_t, TopicSubscriber>& subscribers() const { return subscribers_; }
  const TopicSubscriber* Find(uint64_t serial) const;
  const TopicSubscriber* Find(const ActorId& subscriber) const;
  bool all_delivered() const;  // Nobody is to get anything.

  uint64_t first() const { return next_ - log_.size(); }  // The oldest that is kept.
  uint64_t next() const { return next_; }
  size_t bytes() const { return bytes_; }
  const TopicMessage& At(uint64_t number) const { return log_.at(number - first()); }

  // `log`: of this life of the topic; chosen when it is first written to.
  uint64_t log() const { return life_; }
  void BeginLog(uint64_t life) { life_ = life; }

  void Save(schema::TopicState::Builder out) const;
  void Load(schema::TopicState::Reader in);

 private:
  void Trim();

  const TopicOptions options_;
  uint64_t life_ = 0;
  uint64_t next_ = 1;
  std::deque<TopicMessage> log_;
  size_t bytes_ = 0;
  std::map<uint64_t, TopicSubscriber> subscribers_;  // By serial.
  std::map<ActorId, uint64_t> serial_of_;
  uint64_t next_serial_ = 1;
};

void WriteMessage(const TopicMessage& message, schema::TopicMessage::Builder out);
// Throws FAILED when the parameters are no message.
TopicMessage ReadMessage(schema::TopicMessage::Reader in);

}  // namespace troupe
