// Gateway: standard Cap'n Proto RPC on a connection, for clients that are not troupe's own.
#pragma once

#include "kj/async-io.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/registry.h"

namespace troupe {

// Serves gateway.capnp's Node until the peer disconnects. What is not Cap'n Proto ends the
// connection. `registry` outlives the promise.
kj::Promise<void> ServeGateway(kj::Own<kj::AsyncIoStream> stream, kj::Own<CallOrigin> origin,
                               const Registry& registry);

}  // namespace troupe
