// What Cap'n Proto 1 changed in the parts of KJ that a TaskFrame is made of; the only place where
// the runtime asks which version it is compiled with.
#pragma once

#include "capnp/common.h"
#include "kj/async.h"
#include "kj/memory.h"

namespace troupe::internal {

#if CAPNP_VERSION >= 1000000

using kj::_::OwnPromiseNode;

// A promise node that ends by its own destroy().
using FrameNode = kj::_::PromiseNode;

class FrameEvent : public kj::_::Event {
 public:
  FrameEvent() : Event(kj::SourceLocation()) {}
};

inline OwnPromiseNode OwnNode(FrameNode& node, const kj::Disposer&) {
  return OwnPromiseNode(&node);
}

#else

using OwnPromiseNode = kj::Own<kj::_::PromiseNode>;

class FrameNode : public kj::_::PromiseNode {
 public:
  virtual void destroy() = 0;
};

using FrameEvent = kj::_::Event;

// `disposer` calls destroy().
inline OwnPromiseNode OwnNode(FrameNode& node, const kj::Disposer& disposer) {
  return OwnPromiseNode(&node, disposer);
}

#endif

}  // namespace troupe::internal
