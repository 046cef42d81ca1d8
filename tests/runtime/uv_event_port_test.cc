// UvEventPort: timers, wake-ups and work on the pool.
#include "troupe/runtime/uv_event_port.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "kj/vector.h"
#include "uv_loop.h"

namespace troupe {
namespace {

kj::TimePoint Now() { return kj::systemPreciseMonotonicClock().now(); }

TEST(UvTimer, FiresInOrderOfTimeAndNeverEarly) {
  UvLoop loop;
  std::vector<int> order;
  kj::Vector<kj::Promise<void>> promises;
  const kj::TimePoint start = Now();
  for (int ms : {30, 5, 20, 1, 0, 10}) {
    promises.add(loop.timer()
                     .afterDelay(ms * kj::MILLISECONDS)
                     .then([&order, ms, start]() {
                       order.push_back(ms);
                       EXPECT_GE(Now() - start, ms * kj::MILLISECONDS - 100 * kj::MICROSECONDS);
                     })
                     .eagerlyEvaluate(nullptr));
  }
  for (auto& promise : promises) promise.wait(loop.scope);
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 5, 10, 20, 30));
  EXPECT_LT(Now() - start, 1 * kj::SECONDS);  // Generous: the machine may be busy.
}

TEST(UvTimer, DelayAfterALongTurnIsNotCutShort) {
  UvLoop loop;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // A turn that takes its time.
  kj::evalLater([]() {}).wait(loop.scope);
  loop.timer().afterDelay(0 * kj::MILLISECONDS).wait(loop.scope);
  const kj::TimePoint start = Now();
  loop.timer().afterDelay(20 * kj::MILLISECONDS).wait(loop.scope);
  EXPECT_GE(Now() - start, 19 * kj::MILLISECONDS);
}

TEST(UvTimer, EarlierTimerReplacesALaterOne) {
  UvLoop loop;
  auto late = loop.timer().afterDelay(10 * kj::SECONDS);
  EXPECT_FALSE(late.poll(loop.scope));
  const kj::TimePoint start = Now();
  loop.timer().afterDelay(2 * kj::MILLISECONDS).wait(loop.scope);
  EXPECT_LT(Now() - start, 2 * kj::SECONDS);
}

TEST(UvEventPort, FulfillerOfAnotherThreadWakesIt) {
  UvLoop loop;
  for (int i = 0; i < 100; ++i) {
    auto paf = kj::newPromiseAndCrossThreadFulfiller<int>();
    std::thread thread([&paf, i] { paf.fulfiller->fulfill(kj::cp(i)); });
    EXPECT_EQ(paf.promise.wait(loop.scope), i);
    thread.join();
  }
}

TEST(UvEventPort, PostWakesASleepingLoop) {
  UvLoop loop;
  for (int i = 0; i < 200; ++i) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    std::thread thread([&] { EXPECT_TRUE(loop.inbox.Post([&]() { paf.fulfiller->fulfill(); })); });
    paf.promise.wait(loop.scope);
    thread.join();
  }
}

TEST(UvOffload, RunsElsewhereAndReturnsHere) {
  UvLoop loop;
  std::thread::id there;
  loop.port.Offload([&]() { there = std::this_thread::get_id(); }).wait(loop.scope);
  EXPECT_NE(there, std::this_thread::get_id());
}

TEST(UvOffload, HandsTheExceptionBack) {
  UvLoop loop;
  auto failed = loop.port.Offload([]() { KJ_FAIL_REQUIRE("disk on fire"); });
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { failed.wait(loop.scope); })) {
    EXPECT_THAT(e->getDescription().cStr(), testing::HasSubstr("disk on fire"));
  } else {
    ADD_FAILURE();
  }
  auto standard = loop.port.Offload([]() { throw std::runtime_error("no paper"); });
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { standard.wait(loop.scope); })) {
    EXPECT_THAT(e->getDescription().cStr(), testing::HasSubstr("no paper"));
  } else {
    ADD_FAILURE();
  }
}

TEST(UvOffload, DroppedPromiseAndDroppedLoopAreSafe) {
  std::atomic<int> alive{0};
  struct Counted {
    explicit Counted(std::atomic<int>& n) : count(&n) { ++n; }
    Counted(Counted&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
    ~Counted() {
      if (count != nullptr) --*count;
    }
    std::atomic<int>* count;
  };
  {
    UvLoop loop;
    for (int i = 0; i < 50; ++i) {
      auto dropped = loop.port.Offload([c = Counted(alive)]() {});
    }
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace troupe
