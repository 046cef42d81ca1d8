// MethodContext: what a method of an actor or an observer sees of the call that it runs for.
//
// Single loop. Refs among the parameters call by the origin that it is given.
#pragma once

#include <functional>
#include <string>

#include "troupe/actors/call.h"
#include "troupe/actors/capnp_version.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"

namespace troupe {

class MethodContext final : public CallContextHook, public kj::Refcounted {
 public:
  MethodContext(const Payload& params, kj::Own<CallOrigin> origin)
      : params_(params, kj::mv(origin)) {}

  capnp::AnyPointer::Reader getParams() override { return params_.root(); }
  void releaseParams() override {}
  capnp::AnyPointer::Builder getResults(kj::Maybe<capnp::MessageSize>) override {
    return results_.root();
  }
  kj::Promise<void> tailCall(kj::Own<capnp::RequestHook>&& request) override {
    return directTailCall(kj::mv(request)).promise;
  }
  void setPipeline(kj::Own<capnp::PipelineHook>&&) override {}
  kj::Promise<capnp::AnyPointer::Pipeline> onTailCall() override { return kj::NEVER_DONE; }
  capnp::ClientHook::VoidPromiseAndPipeline directTailCall(
      kj::Own<capnp::RequestHook>&& request) override {
    auto done = request->send().then(
        [this](capnp::Response<capnp::AnyPointer>&& response) { results_.root().set(response); });
    return {kj::mv(done), capnp::newBrokenPipeline(Unimplemented("no pipelining here"))};
  }
  kj::Own<capnp::CallContextHook> addRef() override { return kj::addRef(*this); }

  // Into `out`; or why not, for they hold what cannot be sent, or are too large. `describe` names
  // the call.
  kj::Maybe<kj::Exception> TakeResults(const std::function<std::string()>& describe,
                                       CallOutcome& out);

 private:
  IncomingMessage params_;
  OutgoingMessage results_;
};

}  // namespace troupe
