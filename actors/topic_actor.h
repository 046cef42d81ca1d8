// Topic: the actor type of topics, which a program hosts as any other.
//
//   troupe::Main(argc, argv).Host<ChatActor>().Host<troupe::Topic>().Run();
//
// With a larger log, the same on every node:
//
//   const troupe::TopicOptions larger{.messages_max = 10000, .bytes_max = 1 << 20};
//   main.Host<troupe::Topic>([larger] { return kj::heap<troupe::Topic>(larger); });
//
// Programs call it by what topic.h gives them. Its turns wait for nobody, so publishers do not wait
// for subscribers, who are served beside the turns (topic_delivery.h).
#pragma once

#include "troupe/actors/actor.h"
#include "troupe/actors/topic.capnp.h"
#include "troupe/actors/topic_book.h"
#include "troupe/actors/topic_delivery.h"

namespace troupe {

class Topic final : public Actor<schema::Topic, schema::TopicState>, private TopicDelivery::Owner {
 public:
  explicit Topic(TopicOptions options = {}) : book_(options) {}

 private:
  kj::Promise<void> publish(PublishContext call) override;
  kj::Promise<void> subscribe(SubscribeContext call) override;
  kj::Promise<void> unsubscribe(UnsubscribeContext call) override;
  kj::Promise<void> isSubscribed(IsSubscribedContext call) override;
  kj::Promise<void> look(LookContext call) override;
  Task<void> Resume(ResumeContext& work) override;
  void Save(schema::TopicState::Builder out) const override { book_.Save(out); }
  void Load(schema::TopicState::Reader in) override { book_.Load(in); }

  void OnProgress() override;
  absl::Time WallNow() const override { return context_of_delivery_->WallNow(); }
  const Log& log() const override { return context_of_delivery_->log(); }

  std::string Name();  // Without the language.
  void BeginTurn();
  void Proceed();
  void OnQuiet();
  void WakeAfter(absl::Duration time);

  TopicBook book_;
  TopicDelivery* delivery_ = nullptr;  // Of the Resume() that runs.
  ActorContext* context_of_delivery_ = nullptr;
  ActorTimer quiet_;       // Until what was delivered is noted; then until it is forgotten.
  bool settling_ = false;  // The second.
};

}  // namespace troupe
