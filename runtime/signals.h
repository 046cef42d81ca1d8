// NextSignal: the next Unix signal of a set, as a promise.
#pragma once

#include <initializer_list>

#include "kj/async.h"
#include "troupe/runtime/uv_event_port.h"

namespace troupe {

// The number of the first of `signals` to arrive. From the call on until the promise is settled or
// dropped they are caught; then they do again what they did before.
kj::Promise<int> NextSignal(UvEventPort& port, std::initializer_list<int> signals);

}  // namespace troupe
