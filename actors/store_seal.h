// The seal of a node's RecordStore: the same random token in it and in the data directory beside
// it.
//
// A node that comes back with its storage id counts as in sync where it was (docs/protocol.md
// P3.18). If its records had been taken away, or others put in their place, it would say that it
// holds what it does not. On the control loop.
#pragma once

#include "absl/status/status.h"
#include "kj/async.h"
#include "troupe/runtime/host.h"

namespace troupe {

// Before the node registers. FailedPrecondition: the records are not those that belong here; says
// what to do. DataLoss, Unavailable: they cannot be read. Blocks while the store is opened.
absl::Status CheckSeal(Machine& machine);

// Before anything is acknowledged from the store. The machine has one.
kj::Promise<void> Seal(Machine& machine);

}  // namespace troupe
