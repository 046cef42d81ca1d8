// Ref: the capability by which an actor is called, wherever it lives.
//
// `Refer` gives an ordinary Cap'n Proto client of the actor's interface. Making one sends nothing
// and never blocks; the actor comes into being with its first call. Belongs to the loop of its
// origin.
#pragma once

#include <string_view>

#include "capnp/capability.h"
#include "capnp/schema.h"
#include "troupe/actors/call_origin.h"

namespace troupe {

capnp::Capability::Client ReferTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options);

template <typename Interface>
typename Interface::Client Refer(kj::Own<CallOrigin> origin, std::string_view key,
                                 CallOptions options = {}) {
  ActorId actor{capnp::typeId<Interface>(), std::string(key)};
  return ReferTo(kj::mv(origin), std::move(actor), options).template castAs<Interface>();
}

}  // namespace troupe
