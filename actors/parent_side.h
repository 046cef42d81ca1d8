// ParentSide: what Children need of whoever has them, an activation or a child.
//
// Internal to actors/. Single loop. Outlives the Children.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/call.h"
#include "troupe/runtime/host.h"

namespace troupe {

class ParentSide {
 public:
  virtual Host& host() = 0;
  virtual std::string ParentName() const = 0;  // "Desk/main"

  // The turn that calls a child now: what waits for the call, and until when.
  struct Within {
    std::vector<ChainLink> chain = {};
    absl::Time deadline = absl::InfiniteFuture();
    CallMetadata metadata = {};
  };
  virtual Within CallsWithin() const = 0;

  // On a clean stack, for what may be what runs now; or at once, when the parent itself goes.
  virtual void RunLater(kj::Function<void()> work) = 0;

  // A call of a child's own, to an actor, in no turn of the parent's.
  virtual kj::Promise<Payload> CallOut(CallHeader header, Payload params, absl::Time deadline) = 0;

 protected:
  ~ParentSide() = default;
};

}  // namespace troupe
