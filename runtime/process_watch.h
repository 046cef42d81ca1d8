// Which process this is, and the end of another one of the same computer, observed by a pidfd.
//
// Source: pidfd_open(2), proc_pid_stat(5).
#pragma once

#include <optional>

#include "kj/async.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/uv_event_port.h"

namespace troupe {

// Fields that cannot be read stay zero, which no watcher accepts.
ProcessIdentity OwnProcess();

// As Machine::WatchExit(), on the loop of `port`.
std::optional<kj::Promise<void>> WatchProcessExit(UvEventPort& port,
                                                  const ProcessIdentity& process);

}  // namespace troupe
