// Inbox: order, bound and wake-ups of work from other threads.
#include "troupe/runtime/inbox.h"

#include <poll.h>

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"

namespace troupe {
namespace {

using testing::ElementsAre;

bool Woken(const Inbox& inbox) {
  pollfd state{inbox.wake_fd(), POLLIN, 0};
  return ::poll(&state, 1, 0) == 1;
}

void RunAll(Inbox& inbox) {
  while (inbox.RunSome()) {
  }
}

TEST(Inbox, KeepsTheOrderOverBothLanes) {
  Inbox inbox(10);
  std::vector<int> order;
  EXPECT_TRUE(inbox.Post([&]() { order.push_back(1); }));
  EXPECT_TRUE(inbox.PostControl([&]() { order.push_back(2); }));
  EXPECT_TRUE(inbox.Post([&]() { order.push_back(3); }));
  RunAll(inbox);
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(Inbox, RefusesBeyondItsBoundExceptControl) {
  Inbox inbox(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_FALSE(inbox.Post([]() {}));
  EXPECT_TRUE(inbox.PostControl([]() {}));
  RunAll(inbox);
  EXPECT_TRUE(inbox.Post([]() {}));
}

TEST(Inbox, CountsWorkUnderWayAgainstTheBound) {
  Inbox inbox(2);
  bool accepted = true;
  EXPECT_TRUE(inbox.Post([&]() { accepted = inbox.Post([]() {}); }));
  EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_TRUE(inbox.RunSome());
  EXPECT_FALSE(accepted);
}

TEST(Inbox, WakesOnceAndOnlyWhoSleeps) {
  Inbox inbox(10);
  EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_FALSE(Woken(inbox));
  EXPECT_FALSE(inbox.TrySleep());
  RunAll(inbox);
  EXPECT_TRUE(inbox.TrySleep());
  EXPECT_FALSE(Woken(inbox));
  EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_TRUE(Woken(inbox));
  inbox.ClearWakeFd();
  EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_FALSE(Woken(inbox));
  RunAll(inbox);
  EXPECT_TRUE(inbox.Post([]() {}));
  EXPECT_FALSE(Woken(inbox));
}

TEST(Inbox, WakeIsTakenOnce) {
  Inbox inbox(10);
  inbox.Wake();
  EXPECT_TRUE(Woken(inbox));
  EXPECT_TRUE(inbox.TakeWake());
  EXPECT_FALSE(inbox.TakeWake());
}

TEST(Inbox, RunsABurstInPortions) {
  Inbox inbox(1000);
  int ran = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(inbox.Post([&]() { ++ran; }));
  EXPECT_TRUE(inbox.RunSome());
  EXPECT_LT(ran, 1000);
  EXPECT_FALSE(inbox.TrySleep());
  RunAll(inbox);
  EXPECT_EQ(ran, 1000);
}

TEST(Inbox, RefusesAndDestroysAfterClose) {
  Inbox inbox(10);
  struct Told {
    explicit Told(int* n) : n(n) {}
    Told(Told&& other) noexcept : n(std::exchange(other.n, nullptr)) {}
    ~Told() {
      if (n != nullptr) ++*n;
    }
    int* n;
  };
  int destroyed = 0;
  bool late = true;
  EXPECT_TRUE(inbox.Post([t = Told(&destroyed)]() {}));
  EXPECT_TRUE(inbox.Post([poster = kj::defer([&]() { late = inbox.PostControl([]() {}); })]() {}));
  inbox.Close();
  EXPECT_EQ(destroyed, 1);
  EXPECT_FALSE(late);
  EXPECT_FALSE(inbox.Post([]() {}));
  EXPECT_FALSE(inbox.RunSome());
}

TEST(Inbox, WorkThatThrowsDoesNotStopTheRest) {
  Inbox inbox(10);
  int ran = 0;
  EXPECT_TRUE(inbox.Post([]() { KJ_FAIL_REQUIRE("on purpose"); }));
  EXPECT_TRUE(inbox.Post([&]() { ++ran; }));
  RunAll(inbox);
  EXPECT_EQ(ran, 1);
}

TEST(Inbox, ManyThreadsEachInOrderNoneLostAndTheSleeperWakes) {
  constexpr int kThreads = 4, kPosts = 20000;
  Inbox inbox(1000);
  std::vector<int> next(kThreads, 0);
  int received = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        auto work = [&, t, i]() {
          EXPECT_EQ(next[t]++, i);
          ++received;
        };
        if (i % 3 == 0) {
          inbox.PostControl(kj::cp(work));
        } else {
          while (!inbox.Post(kj::cp(work))) std::this_thread::yield();
        }
      }
    });
  }
  while (received < kThreads * kPosts) {
    if (inbox.RunSome()) continue;
    if (!inbox.TrySleep()) continue;
    pollfd state{inbox.wake_fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&state, 1, 10'000), 1) << "a wake-up was lost";
    inbox.ClearWakeFd();
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace troupe
