#include "troupe/runtime/uv_event_port.h"

#include <uv.h>

#include <csignal>
#include <cstdint>
#include <memory>

#include "kj/debug.h"
#include "kj/exception.h"
#include "kj/time.h"

namespace troupe {

namespace {

// Which loop a thread belongs to is a fact about the thread, no state of any protocol.
thread_local UvEventPort* current_port = nullptr;

constexpr uint64_t kLongestSleepMs = 1000 * 60 * 60;
constexpr uint64_t kFarewellMs =
    2000;  // How long a port waits for work on the pool that is running.

kj::TimePoint Now() { return kj::systemPreciseMonotonicClock().now(); }

void Check(int result, const char* what) { KJ_REQUIRE(result == 0, what, uv_strerror(result)); }

class OffloadWaiter;

struct OffloadRequest {
  uv_work_t request;
  kj::Function<void()> work;
  kj::Maybe<kj::Exception> error;
  OffloadWaiter* waiter;
};

class OffloadWaiter {
 public:
  OffloadWaiter(kj::PromiseFulfiller<void>& fulfiller, uv_loop_t* loop, kj::Function<void()> work)
      : fulfiller_(fulfiller), request_(new OffloadRequest{{}, kj::mv(work), nullptr, this}) {
    request_->request.data = request_;
    Check(uv_queue_work(loop, &request_->request, &Run, &Done), "uv_queue_work");
  }
  ~OffloadWaiter() {
    if (request_ == nullptr) return;
    request_->waiter = nullptr;
    // Fails when it runs already: then it ends unheard.
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->request));
  }

 private:
  static void Run(uv_work_t* work) {
    auto* request = static_cast<OffloadRequest*>(work->data);
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { request->work(); })) {
      request->error = kj::mv(*e);
    }
  }
  static void Done(uv_work_t* work, int) {
    std::unique_ptr<OffloadRequest> request(static_cast<OffloadRequest*>(work->data));
    OffloadWaiter* waiter = request->waiter;
    if (waiter == nullptr) return;
    waiter->request_ = nullptr;
    KJ_IF_MAYBE (e, request->error) {
      waiter->fulfiller_.reject(kj::mv(*e));
    } else {
      waiter->fulfiller_.fulfill();
    }
  }

  kj::PromiseFulfiller<void>& fulfiller_;
  OffloadRequest* request_;
};

}  // namespace

struct UvEventPort::Handles {
  uv_loop_t loop;
  uv_poll_t wake;
  uv_timer_t timer;
  const Inbox* inbox;
  kj::Maybe<kj::TimePoint>
      armed;  // What `timer` is set to, so that an unchanged one costs nothing.

  static void OnTimer(uv_timer_t* timer) {
    static_cast<Handles*>(timer->data)->armed = nullptr;
    // libuv runs timers also before it polls, and would then go to sleep without one.
    uv_stop(timer->loop);
  }
};

UvEventPort::UvEventPort(Inbox& inbox) : inbox_(inbox), timer_(Now()), handles_(new Handles) {
  KJ_REQUIRE(current_port == nullptr, "a thread has at most one event port");
  ::signal(SIGPIPE,
           SIG_IGN);  // A peer that went away is an error code, not the end of the process.
  Handles& h = *handles_;
  h.inbox = &inbox;
  Check(uv_loop_init(&h.loop), "uv_loop_init");
  h.wake.data = h.timer.data = &h;
  Check(uv_timer_init(&h.loop, &h.timer), "uv_timer_init");
  Check(uv_poll_init(&h.loop, &h.wake, inbox.wake_fd()), "uv_poll_init");
  Check(uv_poll_start(
            &h.wake, UV_READABLE,
            [](uv_poll_t* p, int, int) { static_cast<Handles*>(p->data)->inbox->ClearWakeFd(); }),
        "uv_poll_start");
  current_port = this;
}

UvEventPort::~UvEventPort() noexcept(false) {
  current_port = nullptr;
  Handles& h = *handles_;
  uv_close(reinterpret_cast<uv_handle_t*>(&h.wake), nullptr);
  // Requests on the pool end before the loop does, but a name server that does not answer shall not
  // hold up the end of the process: after the limit the loop is left to them.
  uv_update_time(&h.loop);
  uv_timer_start(&h.timer, &Handles::OnTimer, kFarewellMs, 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&h.timer));
  h.armed = Now();
  while (h.armed != nullptr && uv_loop_alive(&h.loop)) uv_run(&h.loop, UV_RUN_ONCE);
  uv_close(reinterpret_cast<uv_handle_t*>(&h.timer), nullptr);
  uv_run(&h.loop, UV_RUN_NOWAIT);
  if (uv_loop_close(&h.loop) == 0) {
    delete handles_;
  } else {
    KJ_LOG(WARNING, "event loop left behind: a request or a handle is still in use");
  }
}

UvEventPort& UvEventPort::Current() {
  KJ_REQUIRE(current_port != nullptr, "this thread has no event loop of libuv");
  return *current_port;
}

uv_loop_s* UvEventPort::loop() { return &handles_->loop; }

kj::Timer& UvEventPort::timer() { return timer_; }

kj::Promise<void> UvEventPort::Offload(kj::Function<void()> work) {
  return kj::newAdaptedPromise<void, OffloadWaiter>(loop(), kj::mv(work));
}

bool UvEventPort::wait() { return Turn(inbox_.RunSome() ? Sleep::kForbidden : Sleep::kAllowed); }

bool UvEventPort::poll() { return Turn(Sleep::kForbidden); }

void UvEventPort::wake() const { inbox_.Wake(); }

bool UvEventPort::Turn(Sleep sleep) {
  ArmTimer();
  const bool may_sleep = sleep == Sleep::kAllowed && inbox_.TrySleep();
  uv_run(&handles_->loop, may_sleep ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  inbox_.RunSome();
  // Every turn, armed timer or not: delays count from the KJ clock, and a stale one cuts them
  // short.
  timer_.advanceTo(Now());
  return inbox_.TakeWake();
}

void UvEventPort::ArmTimer() {
  Handles& h = *handles_;
  KJ_IF_MAYBE (next, timer_.nextEvent()) {
    KJ_IF_MAYBE (armed, h.armed) {
      if (*armed == *next) return;
    }
    uint64_t ms =
        KJ_ASSERT_NONNULL(timer_.timeoutToNextEvent(Now(), kj::MILLISECONDS, kLongestSleepMs));
    uv_update_time(&h.loop);
    // Rounding of libuv may fire it up to 1 ms early; it is then simply armed again.
    uv_timer_start(&h.timer, &Handles::OnTimer, ms, 0);
    h.armed = *next;
  } else if (h.armed != nullptr) {
    uv_timer_stop(&h.timer);
    h.armed = nullptr;
  }
}

}  // namespace troupe
