// Topics: what is published to a name goes to all who have subscribed to it.
//
//   auto lobby = client.Topic<Guest>("lobby");  // In an actor: context().Topic<Guest>("lobby")
//   Subscription sub = co_await lobby.Subscribe(screen);  // An observer of this client, or
//   co_await lobby.Subscribe(guest);                      // an actor that is a Guest, by its ref.
//   auto said = lobby.Publish([&](auto& all) { all.Said("ann", "hello"); });
//   co_await said;
//
//   // In an actor, as part of what the turn changes:
//   context().Topic<Guest>("lobby").Tell([&](auto& all) { all.Said("ann", "hello"); });
//
// The language of a topic is the interface of its subscribers: its methods are the messages, and
// topics of two languages are two topics, whatever their names. Topics are actors: some program of
// the cluster hosts them, .Host<troupe::Topic>() (topic_actor.h); one comes into being with its
// first call. What is promised is in docs/semantics.md, "Topics": to actors once and in order.
//
// These are values as refs are; they belong to the loop of whom they are of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capnp/schema.h"
#include "kj/async.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/any_ref.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/client.h"
#include "troupe/actors/subscription.h"
#include "troupe/actors/topic_actor.h"
#include "troupe/runtime/task.h"

namespace troupe {

// Without the language.
class AnyTopic {
 public:
  const std::string& name() const { return name_; }
  const ActorId& id() const { return id_; }  // Of the Topic actor.

 protected:
  // Throws FAILED for a name of none or too many bytes.
  AnyTopic(kj::Own<CallOrigin> origin, uint64_t language, std::string_view name);

  // Writes calls down.
  class Recorder final : public CallOrigin {
   public:
    kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id, uint16_t method_id,
                              Payload params, const CallOptions& options) override;
    kj::Promise<Payload> Refuse(kj::Exception&& why) override;
    std::vector<TopicMessage> messages;
  };
  static AnyRef Into(Recorder& recorder, uint64_t language);
  Task<uint64_t> Publish(Recorder& recorder) const;
  void Tell(kj::Own<CallOrigin> told, Recorder& recorder) const;

  Task<uint64_t> Subscribe(const ActorId& subscriber, std::optional<uint64_t> from) const;
  Task<bool> Unsubscribe(const ActorId& subscriber) const;

 private:
  kj::Own<CallOrigin> origin_;
  ActorId id_;
  std::string name_;
};

struct SubscribeOptions {
  // The number of the first message that is wanted, of those that the log still has. Not given:
  // from now on; one that has subscribed already goes on where it is.
  std::optional<uint64_t> from = std::nullopt;
};

template <typename Language>
class TopicOf : public AnyTopic {
 public:
  TopicOf(kj::Own<CallOrigin> origin, std::string_view name)
      : AnyTopic(kj::mv(origin), capnp::typeId<Language>(), name) {}

  // What `say` calls on what it is given goes to all subscribers, in that order, with nothing in
  // between. It runs at once. Resolves when that is safe, to the number of the first; it waits for
  // no subscriber. Rejects with FAILED, naming the bound, for what the log has no room for.
  template <typename Say>
  NamedTask<uint64_t> Publish(Say&& say) const {
    auto recorder = Listen(say);
    return AnyTopic::Publish(*recorder);
  }

  // Each message from now on, or from `options.from` on, whoever dies; until it is taken back.
  // Resolves to the number of the first that it gets. Rejects with OVERLOADED when the topic has as
  // many subscribers as it may. An observer is put out when it cannot be reached for a minute.
  Task<uint64_t> Subscribe(const typename Language::Ref& subscriber,
                           const SubscribeOptions& options = {}) const {
    return AnyTopic::Subscribe(subscriber.id(), options.from);
  }
  // Whether it had subscribed. What is under way may still arrive.
  Task<bool> Unsubscribe(const typename Language::Ref& subscriber) const {
    return AnyTopic::Unsubscribe(subscriber.id());
  }

 protected:
  template <typename Say>
  kj::Own<AnyTopic::Recorder> Listen(Say& say) const {
    auto recorder = kj::refcounted<AnyTopic::Recorder>();
    typename Language::Tell all(this->Into(*recorder, capnp::typeId<Language>()));
    say(all);
    return recorder;
  }
};

// In an actor.
template <typename Language>
class ActorTopic : public TopicOf<Language> {
 public:
  ActorTopic(kj::Own<CallOrigin> origin, kj::Own<CallOrigin> told, std::string_view name)
      : TopicOf<Language>(kj::mv(origin), name), told_(kj::mv(told)) {}

  // As part of what the turn changes: ActorContext::Tell. For the turn that it is made in.
  template <typename Say>
  void Tell(Say&& say) const {
    auto recorder = this->Listen(say);
    AnyTopic::Tell(Share(told_), *recorder);
  }

 private:
  kj::Own<CallOrigin> told_;
};

// In a client, which outlives it.
template <typename Language>
class ClientTopic : public TopicOf<Language> {
 public:
  ClientTopic(Client& client, std::string_view name)
      : TopicOf<Language>(client.Origin(), name), client_(&client) {}

  using TopicOf<Language>::Subscribe;
  // The observer is given each message in order, none twice, while it, the client and what is
  // returned are there, and as long as the client is never away for longer than the log lasts:
  // see Subscription.
  template <typename T>
  requires std::convertible_to<typename T::ActorInterface::Ref, typename Language::Ref>
      Task<Subscription> Subscribe(const Observer<T>& observer,
                                   const SubscribeOptions& options = {})
  const {
    return Subscription::Begin(*client_, this->id(), this->name(), observer.ref().id(),
                               options.from);
  }

 private:
  Client* client_;
};

template <HasRef Language>
ActorTopic<Language> ActorContext::Topic(std::string_view name) {
  return ActorTopic<Language>(Origin(), ToldOrigin(), name);
}

template <HasRef Language>
ClientTopic<Language> Client::Topic(std::string_view name) {
  return ClientTopic<Language>(*this, name);
}

}  // namespace troupe
