// Interception: one call on its way through the interceptors of its node.
//
// Internal to activations and pools. Single loop.
#pragma once

#include <string>

#include "troupe/actors/call.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/host.h"

namespace troupe {

// Runs what comes before the call. False: it was refused, and has been answered.
bool Intercept(InboundCall& call, const ActorType& type, const std::string& method, Host& host,
               const std::string& node);

}  // namespace troupe
