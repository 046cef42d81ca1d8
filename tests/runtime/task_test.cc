// Task: coroutines on the KJ loop: results, errors both ways, cancellation at every stage.
#include "troupe/runtime/task.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kj/async.h"

namespace troupe {
namespace {

class TaskTest : public testing::Test {
 public:
  ~TaskTest() noexcept override {}

 protected:
  kj::EventLoop loop_;
  kj::WaitScope scope_{loop_};
};

// Counts live objects, to see that locals die exactly once.
struct Tracker {
  explicit Tracker(int& live) : live_(live) { ++live_; }
  Tracker(const Tracker&) = delete;
  ~Tracker() { --live_; }
  int& live_;
};

Task<int> Immediate(int value) { co_return value; }
Task<void> Nothing() { co_return; }

Task<int> AddLater(int a, int b) {
  auto p = kj::evalLater([a, b]() { return a + b; });
  auto sum = co_await p;
  co_return sum;
}

TEST_F(TaskTest, ReturnsAtOnce) {
  EXPECT_EQ(Immediate(7).Wait(scope_), 7);
  Nothing().Wait(scope_);
}

TEST_F(TaskTest, StartsBeforeTheFirstAwait) {
  bool started = false;
  auto body = [&]() -> Task<void> {
    started = true;
    auto later = kj::evalLater([]() {});
    co_await later;
    started = false;
  };
  auto task = body();
  EXPECT_TRUE(started);
  task.Wait(scope_);  // Consumed, though it has a name, as by co_await.
  EXPECT_FALSE(started);
}

TEST_F(TaskTest, AwaitsPromisesTasksAndForks) {
  auto body = [&]() -> Task<int> {
    auto lvalue = kj::evalLater([]() { return 1; });
    auto task = AddLater(10, 10);
    auto fork = kj::evalLater([]() { return 100; }).fork();
    int sum = co_await lvalue;
    sum += co_await task;
    sum += co_await AddLater(3, 4);
    sum += co_await fork;
    sum += co_await fork;
    co_return sum;
  };
  EXPECT_EQ(body().Wait(scope_), 1 + 20 + 7 + 200);
}

#if defined(__clang__) || __GNUC__ < 13  // Of g++ 14 an internal error.
TEST_F(TaskTest, AwaitsPromisesWithoutAName) {
  auto body = [&]() -> Task<int> {
    auto fork = kj::evalLater([]() { return 100; }).fork();
    co_await kj::evalLater([]() {});
    int sum = co_await kj::Promise<int>(2);
    sum += co_await fork.addBranch();
    co_return sum;
  };
  EXPECT_EQ(body().Wait(scope_), 102);
}
#endif

TEST_F(TaskTest, ConvertsBothWays) {
  kj::Promise<int> promise = AddLater(1, 2);
  Task<int> task = kj::mv(promise);
  EXPECT_EQ(AsTask(kj::mv(task).AsPromise().then([](int n) { return n * 2; })).Wait(scope_), 6);
  kj::Promise<void> chained = kj::evalLater([]() -> kj::Promise<int> {
                                return AddLater(4, 5);
                              }).then([](int n) { EXPECT_EQ(n, 9); });
  chained.wait(scope_);
}

TEST_F(TaskTest, MovesMoveOnlyResults) {
  auto make = []() -> Task<kj::Own<std::string>> {
    auto p = kj::evalLater([]() { return kj::heap<std::string>("owned"); });
    auto text = co_await p;
    text->append("!");
    co_return kj::mv(text);
  };
  auto outer = [&]() -> Task<kj::Own<std::string>> {
    auto made = co_await make();
    co_return kj::mv(made);
  };
  EXPECT_EQ(*outer().Wait(scope_), "owned!");
}

Task<int> Depth(int n) {
  if (n == 0) co_return 0;
  auto below = co_await Depth(n - 1);
  co_return below + 1;
}

TEST_F(TaskTest, Recurses) { EXPECT_EQ(Depth(500).Wait(scope_), 500); }

TEST_F(TaskTest, LongLoopsDoNotGrowTheStack) {
  uintptr_t lowest = UINTPTR_MAX, highest = 0;
  auto body = [&]() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 10000; ++i) {
      sum += co_await Immediate(1);
      uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
      lowest = std::min(lowest, here);
      highest = std::max(highest, here);
    }
    co_return sum;
  };
  EXPECT_EQ(body().Wait(scope_), 10000);
  EXPECT_LT(highest - lowest, 4096u);
}

TEST_F(TaskTest, AwaitsInConditionalsRangesAndSwitches) {
  auto body = [&](bool left) -> Task<std::string> {
    size_t count = left ? co_await Immediate(2) : co_await AddLater(1, 2);
    std::string out(count, left ? 'l' : 'r');
    for (int n : std::vector<int>{1, 2, 3}) {
      switch (co_await Immediate(n)) {
        case 2:
          out += co_await Immediate(1) == 1 && co_await Immediate(0) == 0 ? "two" : "?";
          break;
        default:
          out += "x";
      }
    }
    co_return out;
  };
  EXPECT_EQ(body(true).Wait(scope_), "llxtwox");
  EXPECT_EQ(body(false).Wait(scope_), "rrrxtwox");
}

TEST_F(TaskTest, ExceptionsOfPromisesArriveInside) {
  auto body = []() -> Task<std::string> {
    kj::Promise<int> p = KJ_EXCEPTION(DISCONNECTED, "gone");
    try {
      co_await p;
    } catch (const kj::Exception& e) {
      co_return std::string(e.getDescription().cStr());
    }
    co_return "no exception";
  };
  EXPECT_EQ(body().Wait(scope_), "gone");
}

TEST_F(TaskTest, ExceptionsInsideArriveOutside) {
  int live = 0;
  auto body = [&](int how) -> Task<void> {
    Tracker tracker(live);
    if (how == 0) KJ_FAIL_REQUIRE("before the first await");
    co_await Nothing();
    if (how == 1) kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "busy"));
    throw std::runtime_error("plain");
  };
  auto fails = [&](int how) {
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { body(how).Wait(scope_); })) return kj::mv(*e);
    return KJ_EXCEPTION(FAILED, "nothing thrown");
  };
  EXPECT_NE(std::string(fails(0).getDescription().cStr()).find("before"), std::string::npos);
  EXPECT_EQ(fails(1).getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_NE(std::string(fails(2).getDescription().cStr()).find("plain"), std::string::npos);
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, SettledYieldsValueOrErrorWithoutThrowing) {
  auto body = []() -> Task<int> {
    auto good = kj::evalLater([]() { return 5; });
    Outcome<int> value = co_await Settled(good);
    kj::Promise<int> bad = KJ_EXCEPTION(DISCONNECTED, "gone");
    auto error = co_await Settled(bad);
    auto done = co_await Settled(Nothing());
    EXPECT_TRUE(value.ok());
    EXPECT_FALSE(error.ok());
    EXPECT_EQ(error.exception().getType(), kj::Exception::Type::DISCONNECTED);
    EXPECT_TRUE(done.ok());
    co_return value.value();
  };
  EXPECT_EQ(body().Wait(scope_), 5);
}

TEST_F(TaskTest, FailEndsWithoutThrowing) {
  int live = 0;
  bool after = false;
  auto body = [&]() -> Task<int> {
    Tracker tracker(live);
    co_await Nothing();
    co_await Fail(KJ_EXCEPTION(OVERLOADED, "later"));
    after = true;
    co_return 1;
  };
  auto outer = [&]() -> Task<bool> {
    auto outcome = co_await Settled(body());
    co_return !outcome.ok() && outcome.exception().getType() == kj::Exception::Type::OVERLOADED;
  };
  EXPECT_TRUE(outer().Wait(scope_));
  EXPECT_FALSE(after);
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, DroppingWhilePendingDestroysLocalsAndTheAwaited) {
  int live = 0;
  auto paf = kj::newPromiseAndFulfiller<void>();
  auto inner = [&](kj::Promise<void>& awaited) -> Task<void> {
    kj::Promise<void> mine = kj::mv(awaited);
    Tracker tracker(live);
    co_await mine;
    ADD_FAILURE() << "resumed after being dropped";
  };
  auto outer = [&](kj::Promise<void>& awaited) -> Task<void> {
    Tracker tracker(live);
    co_await inner(awaited);
  };
  {
    kj::Promise<void> promise = outer(paf.promise);
    EXPECT_EQ(live, 2);
    EXPECT_TRUE(paf.fulfiller->isWaiting());
  }
  EXPECT_EQ(live, 0);
  EXPECT_FALSE(paf.fulfiller->isWaiting());
}

TEST_F(TaskTest, DroppingAfterArmedDoesNotResume) {
  int live = 0;
  auto paf = kj::newPromiseAndFulfiller<void>();
  auto body = [&]() -> Task<void> {
    Tracker tracker(live);
    co_await paf.promise;
    ADD_FAILURE() << "resumed after being dropped";
  };
  {
    auto task = body();
    paf.fulfiller->fulfill();  // Armed, not yet fired.
  }
  EXPECT_EQ(live, 0);
  kj::evalLast([]() {}).wait(scope_);
}

TEST_F(TaskTest, DroppingUnreadResultIsClean) {
  int live = 0;
  auto body = [&]() -> Task<kj::Own<Tracker>> {
    auto result = kj::heap<Tracker>(live);
    co_await Nothing();
    co_return kj::mv(result);
  };
  {
    kj::Promise<kj::Own<Tracker>> promise = body();
    kj::evalLast([]() {}).wait(scope_);
    EXPECT_EQ(live, 1);
  }
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, TaskThatDropsItselfEndsAtItsNextAwait) {
  int live = 0;
  bool reached = false;
  kj::Maybe<kj::Promise<void>> slot;
  auto body = [&]() -> Task<void> {
    Tracker tracker(live);
    co_await Nothing();
    slot = nullptr;
    reached = true;
    co_await Nothing();
    ADD_FAILURE() << "resumed after being dropped";
  };
  slot = body().AsPromise().eagerlyEvaluate(nullptr);
  kj::evalLast([]() {}).wait(scope_);
  EXPECT_TRUE(reached);
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, TaskThatDropsItselfMayFinish) {
  int live = 0;
  auto slot = kj::heap<kj::Maybe<Task<void>>>();
  auto body = [&]() -> Task<void> {
    Tracker tracker(live);
    co_await Nothing();
    *slot = nullptr;
  };
  *slot = body();
  kj::evalLast([]() {}).wait(scope_);
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, ContinuationOfTheAwaitedMayDropTheTask) {
  int live = 0;
  kj::Maybe<Task<void>> slot;
  auto body = [&]() -> Task<void> {
    Tracker tracker(live);
    auto p = kj::evalLater([]() {}).then([&]() { slot = nullptr; });
    co_await p;
    ADD_FAILURE() << "resumed after being dropped";
  };
  slot = body();
  kj::evalLast([]() {}).wait(scope_);
  EXPECT_EQ(live, 0);
}

TEST_F(TaskTest, StartTaskKeepsTheLambda) {
  auto text = kj::heap<std::string>("kept");
  auto task = StartTask([text = kj::mv(text)]() -> Task<std::string> {
    co_await Nothing();
    co_return *text;
  });
  EXPECT_EQ(kj::mv(task).Wait(scope_), "kept");
}

TEST_F(TaskTest, JoinsAndRacesLikePromises) {
  auto never = []() -> Task<int> {
    kj::Promise<int> p = kj::NEVER_DONE;
    co_return co_await p;
  };
  EXPECT_EQ(never().AsPromise().exclusiveJoin(AddLater(1, 1)).wait(scope_), 2);
  auto both = kj::heapArrayBuilder<kj::Promise<int>>(2);
  both.add(AddLater(1, 2));
  both.add(AddLater(3, 4));
  auto sums = kj::joinPromises(both.finish()).wait(scope_);
  EXPECT_EQ(sums[0] + sums[1], 10);
}

}  // namespace
}  // namespace troupe
