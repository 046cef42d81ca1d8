// TopicDelivery: brings what is in a topic's log to its subscribers; each at its own pace.
//
// Internal to the Topic actor. Single loop. Lives in the topic's Resume(): it runs beside the
// turns, looks at the book, and changes it in turns alone. To each subscriber one call is under way
// at a time; one that fails for now is made again under the same number after a pause.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/numbered_call.h"
#include "troupe/actors/topic_book.h"
#include "troupe/runtime/log.h"
#include "troupe/runtime/task.h"

namespace troupe {

// An observer that cannot be reached for so long is put out: its client is gone, or will come
// again.
inline constexpr absl::Duration kObserverPatience = absl::Minutes(1);

class TopicDelivery {
 public:
  // What it asks of the topic.
  class Owner {
   public:
    virtual void OnProgress() = 0;  // Something is delivered that the book does not say yet.
    virtual absl::Time WallNow() const = 0;
    virtual const Log& log() const = 0;

   protected:
    ~Owner() = default;
  };

  // All outlive it.
  TopicDelivery(std::string topic, TopicBook& book, ResumeContext& work, Owner& owner);
  KJ_DISALLOW_COPY(TopicDelivery);

  // Goes on with all for whom there is something.
  void Proceed();
  // In a turn: takes what was delivered into the book.
  void NoteInBook();
  // Once nothing is to be delivered: subscribers forget the calls that they remember.
  void Settle();
  // The same for one who has unsubscribed; by the book when that was.
  void SettleLeft(const TopicSubscriber& left);

 private:
  struct Sending {
    bool busy = false;
    uint64_t delivered = 0;  // May be ahead of the book.
    bool noticed = false;    // The notice that the book has begun is delivered.
    uint64_t settled = 0;    // Calls below it are forgotten there.
    absl::Duration pause = absl::ZeroDuration();
    absl::Time failing_since = absl::InfiniteFuture();
  };

  bool IsToGet(const TopicSubscriber& to, const Sending& sending) const;
  Task<void> Serve(uint64_t serial);
  // The next call for the subscriber, and what it delivers: a number, or 0 for a notice. Nothing:
  // it has all.
  bool Next(const TopicSubscriber& to, const Sending& sending, NumberedCall& call,
            uint64_t& delivers) const;
  NumberedCall Batch(const TopicSubscriber& to, uint64_t from) const;
  void OnDelivered(const TopicSubscriber& to, Sending& sending, uint64_t delivers,
                   const Payload* results);
  bool GivesUp(const TopicSubscriber& to, const Sending& sending) const;
  void SendSettle(const ActorId& to, uint64_t serial, uint64_t mark);

  const std::string topic_;
  TopicBook& book_;
  ResumeContext& work_;
  Owner& owner_;
  std::map<uint64_t, Sending> sending_;  // By serial.
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(Owner& owner) : owner(owner) {}
    void taskFailed(kj::Exception&& exception) override;
    Owner& owner;
  } errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
