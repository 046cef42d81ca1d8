#include "troupe/actors/ref.h"

#include "capnp/serialize.h"
#include "troupe/actors/call.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using capnp::AnyPointer;

kj::Own<capnp::PipelineHook> NoPipeline() {
  return capnp::newBrokenPipeline(
      Unimplemented("an actor's results carry no capabilities: wait for the call, then use its "
                    "results"));
}

// Keeps the words that a response reads from.
class ResultsHolder final : public capnp::ResponseHook {
 public:
  explicit ResultsHolder(Payload payload)
      : payload_(std::move(payload)), reader_(payload_.words()) {}
  AnyPointer::Reader root() { return reader_.getRoot<AnyPointer>(); }

 private:
  Payload payload_;
  capnp::FlatArrayMessageReader reader_;
};

capnp::Response<AnyPointer> MakeResponse(Payload payload) {
  auto holder = kj::heap<ResultsHolder>(std::move(payload));
  auto root = holder->root();
  return capnp::Response<AnyPointer>(root, kj::mv(holder));
}

class ActorRequest final : public capnp::RequestHook {
 public:
  ActorRequest(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options,
               uint64_t interface_id, uint16_t method_id, kj::Maybe<capnp::MessageSize> hint)
      : origin_(kj::mv(origin)),
        actor_(std::move(actor)),
        options_(options),
        interface_id_(interface_id),
        method_id_(method_id),
        message_(FirstSegment(hint)) {}

  AnyPointer::Builder root() { return message_.getRoot<AnyPointer>(); }

  capnp::RemotePromise<AnyPointer> send() override {
    auto results = Send().then([](Payload&& payload) { return MakeResponse(std::move(payload)); });
    return capnp::RemotePromise<AnyPointer>(kj::mv(results), AnyPointer::Pipeline(NoPipeline()));
  }
  kj::Promise<void> sendStreaming() override { return Send().ignoreResult(); }
  const void* getBrand() override { return this; }

 private:
  static unsigned FirstSegment(kj::Maybe<capnp::MessageSize> hint) {
    unsigned words = 64;  // Enough for most parameters; less to clear than the library's default.
    KJ_IF_MAYBE (size, hint) words = static_cast<unsigned>(size->wordCount) + 4;
    return words;
  }
  kj::Promise<Payload> Send() {
    return origin_->Call(actor_, interface_id_, method_id_, Payload::Of(message_), options_);
  }

  kj::Own<CallOrigin> origin_;
  ActorId actor_;
  CallOptions options_;
  uint64_t interface_id_;
  uint16_t method_id_;
  capnp::MallocMessageBuilder message_;
};

class ActorHook final : public capnp::ClientHook, public kj::Refcounted {
 public:
  ActorHook(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options)
      : origin_(kj::mv(origin)), actor_(std::move(actor)), options_(options) {}

  capnp::Request<AnyPointer, AnyPointer> newCall(uint64_t interface_id, uint16_t method_id,
                                                 kj::Maybe<capnp::MessageSize> hint) override {
    auto request = kj::heap<ActorRequest>(kj::addRef(*origin_), actor_, options_, interface_id,
                                          method_id, hint);
    auto root = request->root();
    return capnp::Request<AnyPointer, AnyPointer>(root, kj::mv(request));
  }

  // A call that arrives through a Cap'n Proto RPC connection.
  VoidPromiseAndPipeline call(uint64_t interface_id, uint16_t method_id,
                              kj::Own<capnp::CallContextHook>&& context) override {
    capnp::MallocMessageBuilder params;
    params.getRoot<AnyPointer>().set(context->getParams());
    auto& results = *context;
    auto done = origin_->Call(actor_, interface_id, method_id, Payload::Of(params), options_)
                    .then([&results](Payload&& payload) {
                      capnp::FlatArrayMessageReader reader(payload.words());
                      auto root = reader.getRoot<AnyPointer>();
                      results.getResults(root.targetSize()).set(root);
                    })
                    .attach(kj::mv(context));
    return {kj::mv(done), NoPipeline()};
  }

  kj::Maybe<capnp::ClientHook&> getResolved() override { return nullptr; }
  kj::Maybe<kj::Promise<kj::Own<capnp::ClientHook>>> whenMoreResolved() override { return nullptr; }
  kj::Own<capnp::ClientHook> addRef() override { return kj::addRef(*this); }
  const void* getBrand() override { return &kBrand; }
  kj::Maybe<int> getFd() override { return nullptr; }

 private:
  static constexpr int kBrand = 0;
  kj::Own<CallOrigin> origin_;
  ActorId actor_;
  CallOptions options_;
};

}  // namespace

capnp::Capability::Client ReferTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options) {
  return capnp::Capability::Client(kj::Own<capnp::ClientHook>(
      kj::refcounted<ActorHook>(kj::mv(origin), std::move(actor), options)));
}

}  // namespace troupe
