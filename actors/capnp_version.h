// What Cap'n Proto 1 changed in the hooks behind clients, requests and calls: bases for ours that
// are the same with every version, and the only place where actors ask which version it is.
#pragma once

#include "capnp/capability.h"
#include "capnp/common.h"

namespace troupe {

// Of a turn: a started one belongs to its actor, whatever becomes of the caller.
class CallContextHook : public capnp::CallContextHook {
#if CAPNP_VERSION < 1000000
 public:
  void allowCancellation() final {}
#endif
};

// Of calls on whose results nothing can be called before they are there.
class PlainRequestHook : public capnp::RequestHook {
 protected:
  virtual capnp::AnyPointer::Pipeline NoPipeline() = 0;

#if CAPNP_VERSION >= 1000000
 public:
  // Such a call would be for nothing, so it is not made.
  capnp::AnyPointer::Pipeline sendForPipeline() final { return NoPipeline(); }
#endif
};

class PlainClientHook : public capnp::ClientHook {
 public:
  using Request = capnp::Request<capnp::AnyPointer, capnp::AnyPointer>;

 protected:
  // As newCall() and call() without hints.
  virtual Request NewCall(uint64_t interface_id, uint16_t method_id,
                          kj::Maybe<capnp::MessageSize> size) = 0;
  // May be dropped by a caller that cancels, however it came here.
  virtual VoidPromiseAndPipeline Forward(uint64_t interface_id, uint16_t method_id,
                                         kj::Own<capnp::CallContextHook> context) = 0;

#if CAPNP_VERSION >= 1000000
 public:
  Request newCall(uint64_t interface_id, uint16_t method_id, kj::Maybe<capnp::MessageSize> size,
                  CallHints) final {
    return NewCall(interface_id, method_id, size);
  }
  VoidPromiseAndPipeline call(uint64_t interface_id, uint16_t method_id,
                              kj::Own<capnp::CallContextHook>&& context, CallHints) final {
    return Forward(interface_id, method_id, kj::mv(context));
  }
#else
 public:
  Request newCall(uint64_t interface_id, uint16_t method_id,
                  kj::Maybe<capnp::MessageSize> size) final {
    return NewCall(interface_id, method_id, size);
  }
  VoidPromiseAndPipeline call(uint64_t interface_id, uint16_t method_id,
                              kj::Own<capnp::CallContextHook>&& context) final {
    context->allowCancellation();
    return Forward(interface_id, method_id, kj::mv(context));
  }
#endif
};

// client.typelessRequest(), without hints.
inline PlainClientHook::Request TypelessRequest(capnp::Capability::Client& client,
                                                uint64_t interface_id, uint16_t method_id) {
#if CAPNP_VERSION >= 1000000
  return client.typelessRequest(interface_id, method_id, nullptr, {});
#else
  return client.typelessRequest(interface_id, method_id, nullptr);
#endif
}

}  // namespace troupe
