// CallOrigin: on whose behalf calls are made: a client object, a turn of an actor, a gateway.
//
// What a ref needs to make a call; gives each call its id, its place in the order, and its way.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/refcount.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/call_metadata.h"
#include "troupe/runtime/ids.h"

namespace troupe {

inline constexpr absl::Duration kDeadlineDefault = absl::Seconds(30);

struct CallOptions {
  // From the moment of the call to its answer or error; unset: the method's own ($Troupe.deadline,
  // heeded by generated refs), else kDeadlineDefault. More than kDeadlineMax is cut to it; within a
  // turn, no more than what the turn's own call has left.
  std::optional<absl::Duration> deadline = std::nullopt;

  // Of an actor's call: its id instead of one derived from the turn (see ResumeContext).
  std::optional<Id128> id = std::nullopt;

  // Goes with the call, beside what its turn hands on, and counts more than that.
  CallMetadata metadata = {};

  absl::Duration TimeLimit() const { return deadline.value_or(kDeadlineDefault); }
};

class Payload;

class CallOrigin : public kj::Refcounted {
 public:
  // Resolves to the results, or rejects: FAILED (the actor's own error, or a caller's mistake),
  // OVERLOADED (full, or out of time), DISCONNECTED (the origin has ended), UNIMPLEMENTED. Dropping
  // the promise ends the waiting, not the call.
  virtual kj::Promise<Payload> Call(const ActorId& target, uint64_t interface_id,
                                    uint16_t method_id, Payload params,
                                    const CallOptions& options) = 0;

  // The parameters could not be written. The same kinds of answer.
  virtual kj::Promise<Payload> Refuse(kj::Exception&& why);
};

// One more owner; null of null.
inline kj::Own<CallOrigin> Share(const kj::Own<CallOrigin>& origin) {
  if (origin.get() == nullptr) return {};
  return kj::addRef(const_cast<CallOrigin&>(*origin));
}

}  // namespace troupe
