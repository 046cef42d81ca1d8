// A libuv loop under KJ for one test, on the test's own thread.
#pragma once

#include "kj/async.h"
#include "troupe/runtime/inbox.h"
#include "troupe/runtime/uv_event_port.h"
#include "troupe/runtime/uv_network.h"

namespace troupe {

struct UvLoop {
  UvLoop() { scope.setBusyPollInterval(kBusyPollInterval); }
  ~UvLoop() noexcept {}  // So that fixtures may hold one.
  kj::Timer& timer() { return port.timer(); }

  Inbox inbox{1024};
  UvEventPort port{inbox};
  kj::EventLoop loop{port};
  kj::WaitScope scope{loop};
  UvNetwork network{port};
};

}  // namespace troupe
