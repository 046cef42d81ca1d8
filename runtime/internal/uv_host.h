// UvHost: the Host of one thread of a UvMachine.
//
// Made on any thread, and posted to from any thread as long as it exists; between Enter() and
// Leave(), both called on its own thread, it has a loop.
#pragma once

#include <memory>
#include <string>

#include "kj/async.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/inbox.h"
#include "troupe/runtime/uv_event_port.h"
#include "troupe/runtime/uv_network.h"
#include "troupe/runtime/work_pool.h"

namespace troupe {

// CLOCK_BOOTTIME.
class BootClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Time WallNow() const override;
};

class UvHost final : public Host {
 public:
  // `pool` outlives what is made on the host.
  UvHost(LogSink& sink, std::string node, WorkPool& pool);

  void Enter();
  // From here on posts are refused; those that wait are destroyed on this thread.
  void Leave();
  UvEventPort& port() { return loop_->port; }
  kj::WaitScope& wait_scope() { return loop_->scope; }

  Clock& clock() override { return clock_; }
  kj::Timer& timer() override { return loop_->port.timer(); }
  Random& random() override { return random_; }
  Network& network() override { return loop_->network; }
  const Log& log() const override { return log_; }
  Id128 RandomId() override;
  bool Post(kj::Function<void()> work) override { return inbox_.Post(kj::mv(work)); }
  bool PostControl(kj::Function<void()> work) override { return inbox_.PostControl(kj::mv(work)); }
  absl::Duration SinceLook() const override;
  kj::Promise<void> Offload(kj::Function<void()> work) override {
    return pool_.Run(*this, kj::mv(work));
  }

 private:
  struct Loop {
    explicit Loop(Inbox& inbox) : port(inbox), loop(port), scope(loop), network(port) {
      scope.setBusyPollInterval(kBusyPollInterval);
    }
    UvEventPort port;
    kj::EventLoop loop;
    kj::WaitScope scope;
    UvNetwork network;
  };

  Log log_;
  BootClock clock_;
  WorkPool& pool_;
  Random random_;
  Inbox inbox_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace troupe
