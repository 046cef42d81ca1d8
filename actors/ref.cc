#include "troupe/actors/ref.h"

#include "troupe/actors/any_ref.h"
#include "troupe/actors/capnp_version.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using capnp::AnyPointer;

kj::Own<capnp::PipelineHook> BrokenPipeline() {
  return capnp::newBrokenPipeline(
      Unimplemented("an actor's results carry no capabilities: wait for the call, then use its "
                    "results"));
}

capnp::Response<AnyPointer> MakeResponse(Payload payload, kj::Own<CallOrigin> origin) {
  auto holder = kj::heap<ResponseMessage>(std::move(payload), kj::mv(origin));
  auto root = holder->root();
  return capnp::Response<AnyPointer>(root, kj::mv(holder));
}

class ActorRequest final : public PlainRequestHook {
 public:
  ActorRequest(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options,
               uint64_t interface_id, uint16_t method_id, kj::Maybe<capnp::MessageSize> hint)
      : origin_(kj::mv(origin)),
        actor_(std::move(actor)),
        options_(options),
        interface_id_(interface_id),
        method_id_(method_id),
        message_(FirstSegment(hint)) {}

  AnyPointer::Builder root() { return message_.root(); }

  capnp::RemotePromise<AnyPointer> send() override {
    auto results = Send().then([origin = kj::addRef(*origin_)](Payload&& payload) mutable {
      return MakeResponse(std::move(payload), kj::mv(origin));
    });
    return capnp::RemotePromise<AnyPointer>(kj::mv(results), NoPipeline());
  }
  kj::Promise<void> sendStreaming() override { return Send().ignoreResult(); }
  const void* getBrand() override { return this; }

 protected:
  AnyPointer::Pipeline NoPipeline() override { return AnyPointer::Pipeline(BrokenPipeline()); }

 private:
  static unsigned FirstSegment(kj::Maybe<capnp::MessageSize> hint) {
    unsigned words = 64;  // Enough for most parameters; less to clear than the library's default.
    KJ_IF_MAYBE (size, hint) words = static_cast<unsigned>(size->wordCount) + 4;
    return words;
  }
  kj::Promise<Payload> Send() {
    return origin_->Call(actor_, interface_id_, method_id_, message_.Take(), options_);
  }

  kj::Own<CallOrigin> origin_;
  ActorId actor_;
  CallOptions options_;
  uint64_t interface_id_;
  uint16_t method_id_;
  OutgoingMessage message_;
};

class ActorHook final : public PlainClientHook, public kj::Refcounted {
 public:
  ActorHook(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options)
      : origin_(kj::mv(origin)), actor_(std::move(actor)), options_(options) {}

  Request NewCall(uint64_t interface_id, uint16_t method_id,
                  kj::Maybe<capnp::MessageSize> hint) override {
    auto request = kj::heap<ActorRequest>(kj::addRef(*origin_), actor_, options_, interface_id,
                                          method_id, hint);
    auto root = request->root();
    return Request(root, kj::mv(request));
  }

  // A call that arrives through a Cap'n Proto RPC connection.
  VoidPromiseAndPipeline Forward(uint64_t interface_id, uint16_t method_id,
                                 kj::Own<capnp::CallContextHook> context) override {
    OutgoingMessage params;
    params.root().set(context->getParams());
    auto& results = *context;
    auto done = origin_->Call(actor_, interface_id, method_id, params.Take(), options_)
                    .then([&results, origin = kj::addRef(*origin_)](Payload&& payload) mutable {
                      IncomingMessage message(std::move(payload), kj::mv(origin));
                      auto root = message.root();
                      results.getResults(root.targetSize()).set(root);
                    })
                    .attach(kj::mv(context));
    return {kj::mv(done), BrokenPipeline()};
  }

  kj::Maybe<capnp::ClientHook&> getResolved() override { return nullptr; }
  kj::Maybe<kj::Promise<kj::Own<capnp::ClientHook>>> whenMoreResolved() override { return nullptr; }
  kj::Own<capnp::ClientHook> addRef() override { return kj::addRef(*this); }
  const void* getBrand() override { return &kBrand; }
  static ActorHook* Find(capnp::ClientHook& hook) {
    KJ_IF_MAYBE (resolved, hook.getResolved()) return Find(*resolved);
    return hook.getBrand() == &kBrand ? &kj::downcast<ActorHook>(hook) : nullptr;
  }
  const ActorId& actor() const { return actor_; }
  AnyRef ToRef() { return AnyRef(kj::addRef(*origin_), actor_, options_); }
  kj::Maybe<int> getFd() override { return nullptr; }

 private:
  static constexpr int kBrand = 0;
  kj::Own<CallOrigin> origin_;
  ActorId actor_;
  CallOptions options_;
};

}  // namespace

kj::Own<capnp::ClientHook> HookOf(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options) {
  return kj::refcounted<ActorHook>(kj::mv(origin), std::move(actor), options);
}

capnp::Capability::Client ReferTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options) {
  return capnp::Capability::Client(HookOf(kj::mv(origin), std::move(actor), options));
}

const ActorId* FindActor(capnp::ClientHook& hook) {
  auto* found = ActorHook::Find(hook);
  return found == nullptr ? nullptr : &found->actor();
}

std::optional<AnyRef> FindRef(capnp::ClientHook& hook) {
  auto* found = ActorHook::Find(hook);
  return found == nullptr ? std::nullopt : std::optional<AnyRef>(found->ToRef());
}

}  // namespace troupe
