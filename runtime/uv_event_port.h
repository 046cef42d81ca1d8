// UvEventPort: one thread's libuv loop, as the source of events of its KJ event loop.
//
// Each turn runs what the inbox holds, arms one timer for the next KJ timer, polls libuv and moves
// the KJ clock on. Wake-ups from other threads go through the inbox's own eventfd: uv_async_send of
// libuv 1.44 costs several times as much.
// Threads: one port a thread, made, used and destroyed there, except wake(). Everything made on the
// port (watchers, streams, timers) is destroyed before it. Give its WaitScope
// kBusyPollInterval, otherwise a busy loop never looks at its sockets.
#pragma once

#include "kj/async.h"
#include "kj/function.h"
#include "kj/memory.h"
#include "kj/timer.h"
#include "troupe/runtime/inbox.h"

struct uv_loop_s;

namespace troupe {

inline constexpr unsigned kBusyPollInterval = 200;  // KJ events between two looks at the sockets.

class UvEventPort final : public kj::EventPort {
 public:
  explicit UvEventPort(Inbox& inbox);
  ~UvEventPort() noexcept(false);

  // The port of the calling thread, which must have one.
  static UvEventPort& Current();

  uv_loop_s* loop();
  kj::Timer& timer();

  // Runs `work` on the thread pool; resolves on this loop, or rejects with what it threw. `work` is
  // destroyed on this loop. Dropping the promise cancels work that has not begun.
  kj::Promise<void> Offload(kj::Function<void()> work);

  bool wait() override;
  bool poll() override;
  void wake() const override;

 private:
  enum class Sleep { kAllowed, kForbidden };
  bool Turn(Sleep sleep);
  void ArmTimer();

  struct Handles;
  Inbox& inbox_;
  kj::TimerImpl timer_;
  Handles* handles_;  // Freed by libuv's close callbacks, or left behind with work under way.
};

}  // namespace troupe
