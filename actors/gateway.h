// Gateway: standard Cap'n Proto RPC on a connection, for clients that are not troupe's own.
#pragma once

#include <string>

#include "kj/async-io.h"
#include "kj/function.h"
#include "kj/timer.h"
#include "troupe/actors/call_origin.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

// Serves gateway.capnp's Node until the peer disconnects. What is not Cap'n Proto ends the
// connection. `map` gives the newest map, or null; it is called until the promise ends.
kj::Promise<void> ServeGateway(kj::Own<kj::AsyncIoStream> stream, kj::Own<CallOrigin> origin,
                               kj::Function<SharedMap()> map);

// Answers whatever the peer asks with `reason`, for a short while; then ends the connection.
kj::Promise<void> RefuseGateway(kj::Own<kj::AsyncIoStream> stream, kj::Timer& timer,
                                std::string reason);

}  // namespace troupe
