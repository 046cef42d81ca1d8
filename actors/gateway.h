// Gateway: standard Cap'n Proto RPC on a connection, for clients that are not troupe's own.
#pragma once

#include <string>

#include "kj/async-io.h"
#include "kj/timer.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/registry.h"

namespace troupe {

// Serves gateway.capnp's Node until the peer disconnects. What is not Cap'n Proto ends the
// connection. `registry` outlives the promise.
kj::Promise<void> ServeGateway(kj::Own<kj::AsyncIoStream> stream, kj::Own<CallOrigin> origin,
                               const Registry& registry);

// Answers whatever the peer asks with `reason`, for a short while; then ends the connection.
kj::Promise<void> RefuseGateway(kj::Own<kj::AsyncIoStream> stream, kj::Timer& timer,
                                std::string reason);

}  // namespace troupe
