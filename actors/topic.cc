#include "troupe/actors/topic.h"

#include <algorithm>

#include "troupe/actors/named_key.h"
#include "troupe/actors/ref.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

schema::Topic::Client At(kj::Own<CallOrigin> origin, const ActorId& topic) {
  return ReferTo(kj::mv(origin), topic, {}).castAs<schema::Topic>();
}

}  // namespace

kj::Promise<Payload> AnyTopic::Recorder::Call(const ActorId&, uint64_t interface_id,
                                              uint16_t method_id, Payload params,
                                              const CallOptions&) {
  messages.push_back({interface_id, method_id, std::move(params)});
  return kj::NEVER_DONE;  // TellTo drops it.
}

kj::Promise<Payload> AnyTopic::Recorder::Refuse(kj::Exception&& why) {
  kj::throwFatalException(kj::mv(why));
}

AnyTopic::AnyTopic(kj::Own<CallOrigin> origin, uint64_t language, std::string_view name)
    : origin_(kj::mv(origin)),
      id_{capnp::typeId<schema::Topic>(), NamedKey("topic", name, language)},
      name_(name) {}

AnyRef AnyTopic::Into(Recorder& recorder, uint64_t language) {
  return AnyRef(kj::addRef(recorder), {language, ""}, {});
}

namespace {

auto PublishRequest(schema::Topic::Client topic, const std::vector<TopicMessage>& messages) {
  size_t bytes = 0;
  for (const auto& message : messages) bytes += message.bytes();
  auto request = topic.publishRequest(capnp::MessageSize{bytes / sizeof(capnp::word) + 16, 0});
  auto out = request.initMessages(static_cast<unsigned>(messages.size()));
  for (unsigned i = 0; i < out.size(); ++i) WriteMessage(messages[i], out[i]);
  return request;
}

}  // namespace

Task<uint64_t> AnyTopic::Publish(Recorder& recorder) const {
  auto sent = PublishRequest(At(Share(origin_), id_), recorder.messages).send();
  return sent.then([](auto&& results) { return results.getFirst(); });
}

void AnyTopic::Tell(kj::Own<CallOrigin> told, Recorder& recorder) const {
  auto told_once = PublishRequest(At(kj::mv(told), id_), recorder.messages).send();  // Unanswered.
}

Task<uint64_t> AnyTopic::Subscribe(const ActorId& subscriber, std::optional<uint64_t> from) const {
  auto request = At(Share(origin_), id_).subscribeRequest();
  WriteActor(subscriber, request.initSubscriber());
  if (from) request.setFrom(std::max<uint64_t>(1, *from));
  return request.send().then([](auto&& results) -> kj::Promise<uint64_t> {
    const auto refused = results.getRefused();
    if (refused.size() > 0) return Overloaded({refused.begin(), refused.size()});
    return results.getNext();
  });
}

Task<bool> AnyTopic::Unsubscribe(const ActorId& subscriber) const {
  auto request = At(Share(origin_), id_).unsubscribeRequest();
  WriteActor(subscriber, request.initSubscriber());
  return request.send().then([](auto&& results) { return results.getWas(); });
}

}  // namespace troupe
