// Ref: by what an actor is called, wherever it lives.
//
// `Refer` gives the interface's own ref class, if capnpc-troupe has generated one ($Troupe.actor),
// else an ordinary Cap'n Proto client; `ReferTo` always gives the client. Making one sends nothing
// and never blocks; the actor comes into being with its first call. Belongs to the loop of its
// origin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "capnp/capability.h"
#include "capnp/schema.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/observer_key.h"
#include "troupe/actors/troupe.capnp.h"

namespace troupe {

class AnyRef;

capnp::Capability::Client ReferTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options);
kj::Own<capnp::ClientHook> HookOf(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options);

// Whom the capability calls; nothing when it is none of ours, or not known yet.
const ActorId* FindActor(capnp::ClientHook& hook);
std::optional<AnyRef> FindRef(capnp::ClientHook& hook);

// Interfaces for which capnpc-troupe has generated a ref class.
template <typename Interface>
concept HasRef = requires {
  typename Interface::Ref;
};

namespace internal {
template <typename Interface>
struct RefOf {
  using Type = typename Interface::Client;
};
template <HasRef Interface>
struct RefOf<Interface> {
  using Type = typename Interface::Ref;
};
}  // namespace internal

template <typename Interface>
using RefOf = typename internal::RefOf<Interface>::Type;

template <typename Interface>
RefOf<Interface> ReferTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options = {}) {
  if constexpr (HasRef<Interface>) {
    return RefOf<Interface>(kj::mv(origin), std::move(actor), options);
  } else {
    return ReferTo(kj::mv(origin), std::move(actor), options).template castAs<Interface>();
  }
}
// By a key that the user gives. Throws FAILED for one that is reserved (observer_key.h).
template <typename Interface>
RefOf<Interface> Refer(kj::Own<CallOrigin> origin, std::string_view key, CallOptions options = {}) {
  return ReferTo<Interface>(kj::mv(origin), {capnp::typeId<Interface>(), UserKey(key)}, options);
}
// As it was written down; that it has this interface is the word of whoever wrote it.
template <HasRef Interface>
RefOf<Interface> Refer(kj::Own<CallOrigin> origin, schema::ActorRef::Reader ref,
                       CallOptions options = {}) {
  if (ref.getType() == 0) return RefOf<Interface>();
  const auto key = ref.getKey().asChars();
  ActorId actor{ref.getType(), std::string(key.begin(), key.size())};
  return RefOf<Interface>(kj::mv(origin), std::move(actor), options);
}

}  // namespace troupe
