// SimWorld: time jumps, order is fixed, equal seeds give equal runs; kill, pause, drift, workers.
#include "troupe/runtime/sim_world.h"

#include <map>

#include "sim_test_util.h"

namespace troupe {
namespace {

using SimWorldTest = SimTest;

// A machine's talk: datagrams to all, a stream to the next machine, an echo for who connects.
class Talker {
 public:
  explicit Talker(Machine& machine) : host_(machine.control()) {
    socket_ = *host_.network().Bind("0.0.0.0:1");
    listener_ = *host_.network().Listen("0.0.0.0:2");
    tasks_.push_back(Talk());
    tasks_.push_back(Serve());
  }

 private:
  std::string Someone(const char* port) {
    return "10.0.0." + std::to_string(1 + host_.random().Below(3)) + port;
  }
  Task<void> Talk() {
    for (int i = 0;; ++i) {
      (void)host_.Post([]() {});
      socket_->Send(Someone(":1"), Bytes(std::to_string(i)));
      auto dial = host_.network().Dial(Someone(":2"), absl::Milliseconds(50));
      auto dialed = co_await dial;
      if (dialed.outcome == DialOutcome::kConnected) {
        std::string text(host_.random().Below(20000), 'x');
        auto write = dialed.stream->write(text.data(), text.size());
        co_await Settled(write);
      }
      auto wait = host_.timer().afterDelay(5 * kj::MILLISECONDS);
      co_await wait;
    }
  }
  Task<void> Serve() {
    for (;;) {
      auto accept = listener_->Accept();
      auto accepted = co_await accept;
      char buffer[1000];
      auto read = accepted.stream->tryRead(buffer, 1, sizeof buffer);
      co_await Settled(read);
    }
  }
  Host& host_;
  kj::Own<DatagramSocket> socket_;
  kj::Own<Listener> listener_;
  std::vector<kj::Promise<void>> tasks_;
};

// Three talkers under random faults for ten seconds.
uint64_t Chatter(uint64_t seed) {
  SimWorld world(seed);
  const std::vector<std::string> names = {"a", "b", "c"};
  std::map<std::string, kj::Own<Talker>> talkers;
  auto start = [&](const std::string& name, Machine& machine) {
    talkers[name] = kj::heap<Talker>(machine);
    world.OnDestroy(name, [&talkers, name]() { talkers.erase(name); });
  };
  for (auto& name : names) start(name, world.AddMachine(name));
  for (int i = 0; i < 100; ++i) {
    world.RunFor(absl::Milliseconds(100));
    const std::string &x = names[world.random().Below(3)], &y = names[world.random().Below(3)];
    switch (world.random().Below(8)) {
      case 0:
        world.Kill(x, SimDiskAfter::kKeep);
        break;
      case 1:
        world.PowerOff(x, SimDiskAfter::kErase);
        break;
      case 2:
        world.Pause(x);
        break;
      case 3:
        world.Pause(x, SimPause::kComputer);
        break;
      case 4:
        if (x != y) world.CutOneWay(x, y);
        break;
      case 5:
        world.ResetConnections(x, y);
        break;
      default:
        world.HealAll();
        for (auto& name : names) {
          world.Resume(name);
          if (!world.alive(name)) start(name, world.Restart(name));
        }
    }
  }
  return world.trace_hash();
}

TEST(SimWorld, SameSeedSameRun) {
  EXPECT_EQ(Chatter(1), Chatter(1));
  for (uint64_t seed = 2; seed < 8; ++seed) EXPECT_EQ(Chatter(seed), Chatter(seed)) << seed;
}

TEST(SimWorld, OtherSeedOtherRun) { EXPECT_NE(Chatter(1), Chatter(2)); }

TEST_F(SimWorldTest, TimersFireInOrderOfTimeThenOfCreation) {
  std::string order;
  auto at = [&](int ms, char c) {
    return host("a")
        .timer()
        .afterDelay(ms * kj::MILLISECONDS)
        .then([&order, c]() { order += c; })
        .eagerlyEvaluate(nullptr);
  };
  auto t1 = at(20, '1'), t2 = at(10, '2'), t3 = at(20, '3'), t4 = at(10, '4');
  auto start = world_.Now();
  world_.RunFor(absl::Hours(1));
  EXPECT_EQ(order, "2413");
  EXPECT_EQ(world_.Now() - start, absl::Hours(1));
}

TEST_F(SimWorldTest, DroppedTimerNeverFires) {
  bool fired = false;
  {
    auto timer = host("a").timer().afterDelay(1 * kj::SECONDS).then([&]() { fired = true; });
  }
  world_.RunFor(absl::Seconds(5));
  EXPECT_FALSE(fired);
}

TEST_F(SimWorldTest, PostsRunLaterInOrder) {
  std::string order;
  for (char c : {'1', '2', '3'}) EXPECT_TRUE(host("a").Post([&order, c]() { order += c; }));
  EXPECT_EQ(order, "");
  world_.RunFor(kSoon);
  EXPECT_EQ(order, "123");
}

TEST_F(SimWorldTest, InboxIsBoundedButNotForControl) {
  size_t ran = 0;
  for (size_t i = 0; i < kInboxBound; ++i) ASSERT_TRUE(host("a").Post([&ran]() { ++ran; }));
  EXPECT_FALSE(host("a").Post([]() {}));
  EXPECT_TRUE(host("a").PostControl([&ran]() { ++ran; }));
  world_.RunFor(kSoon);
  EXPECT_EQ(ran, kInboxBound + 1);
  EXPECT_TRUE(host("a").Post([]() {}));
}

TEST_F(SimWorldTest, RunUntilStopsAtTheEventOrTheLimit) {
  bool fired = false;
  auto timer = host("a")
                   .timer()
                   .afterDelay(1 * kj::SECONDS)
                   .then([&]() { fired = true; })
                   .eagerlyEvaluate(nullptr);
  EXPECT_FALSE(world_.RunUntil([&]() { return fired; }, absl::Milliseconds(500)));
  auto start = world_.Now();
  EXPECT_TRUE(world_.RunUntil([&]() { return fired; }, absl::Hours(1)));
  EXPECT_EQ(world_.Now() - start, absl::Milliseconds(500));
}

TEST_F(SimWorldTest, ScopeWaitsOnVirtualTime) {
  host("a").timer().afterDelay(3 * kj::DAYS).wait(world_.scope());
  EXPECT_GE(world_.Now() - absl::UnixEpoch(), absl::Hours(72));
}

TEST_F(SimWorldTest, ClocksDriftAndDoNotCompare) {
  world_.SetClockRate("a", 1.05);
  auto a = host("a").clock().Now(), b = host("b").clock().Now();
  world_.RunFor(absl::Seconds(100));
  EXPECT_EQ(host("a").clock().Now() - a, absl::Seconds(105));
  EXPECT_EQ(host("b").clock().Now() - b, absl::Seconds(100));
  EXPECT_NE(a, b);
}

TEST_F(SimWorldTest, WallClocksCompareAndAreApartByABoundedOffset) {
  auto apart = [this] { return host("a").clock().WallNow() - host("b").clock().WallNow(); };
  const absl::Time before = host("a").clock().WallNow();
  EXPECT_LE(absl::AbsDuration(apart()), absl::Milliseconds(100));
  world_.SetClockRate("a", 1.05);
  world_.RunFor(absl::Seconds(100));
  EXPECT_EQ(host("a").clock().WallNow() - before, absl::Seconds(100));
  world_.SetWallClock("a", absl::Seconds(3));
  world_.SetWallClock("b", absl::Seconds(1));
  EXPECT_EQ(apart(), absl::Seconds(2));
}

TEST_F(SimWorldTest, PendingTimersFollowTheClockRate) {
  Pending<void> timer(host("a").timer().afterDelay(10 * kj::SECONDS));
  world_.RunFor(absl::Seconds(5));
  world_.SetClockRate("a", 5);
  world_.RunFor(absl::Milliseconds(999));
  EXPECT_FALSE(timer.done());
  world_.RunFor(absl::Milliseconds(2));
  EXPECT_TRUE(timer.done());
}

TEST_F(SimWorldTest, KilledProcessGoesSilentBeforeItsObjectsGo) {
  auto socket = *network("a").Bind("0.0.0.0:5");
  auto target = *network("b").Bind("0.0.0.0:5");
  Pending<DatagramEvent> received(target->Receive());
  Pending<void> timer(host("a").timer().afterDelay(1 * kj::MILLISECONDS));
  bool posted = false, destroyed = false;
  (void)host("a").Post([&]() { posted = true; });
  Host& old = host("a");
  world_.OnDestroy("a", [&]() {
    destroyed = true;
    EXPECT_EQ(socket->Send(At("b", 5), Bytes("last words")), SendOutcome::kLocalFailure);
    EXPECT_FALSE(old.PostControl([]() {}));
    socket = nullptr;
  });
  world_.Kill("a", SimDiskAfter::kKeep);
  world_.RunFor(kSoon);
  EXPECT_TRUE(destroyed);
  EXPECT_FALSE(posted);
  EXPECT_FALSE(timer.done());
  EXPECT_FALSE(received.done());
  EXPECT_FALSE(world_.alive("a"));
}

TEST_F(SimWorldTest, RestartGivesTheSameAddressAndAFreshProcess) {
  auto first = *network("b").Listen("0.0.0.0:7000");
  auto before = world_.machine("b").process();
  auto id = host("b").RandomId();
  world_.OnDestroy("b", [&]() { first = nullptr; });
  world_.Kill("b", SimDiskAfter::kKeep);
  Machine& again = world_.Restart("b");
  EXPECT_NE(again.process().pid, before.pid);
  EXPECT_NE(again.control().RandomId(), id);
  auto second = *again.control().network().Listen("0.0.0.0:7000");
  EXPECT_EQ(second->address(), At("b", 7000));
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kConnected);
}

TEST_F(SimWorldTest, PausedProcessSeesEverythingUponResume) {
  Pending<void> timer(host("a").timer().afterDelay(1 * kj::SECONDS));
  auto socket = *network("a").Bind("0.0.0.0:5");
  auto sender = *network("b").Bind("0.0.0.0:5");
  Pending<DatagramEvent> received(socket->Receive());
  bool posted = false;
  (void)host("a").Post([&]() { posted = true; });
  auto clock = host("a").clock().Now();
  world_.Pause("a");
  sender->Send(At("a", 5), Bytes("hello"));
  world_.RunFor(absl::Seconds(10));
  EXPECT_FALSE(timer.done() || received.done() || posted);
  world_.Resume("a");
  world_.RunFor(absl::ZeroDuration());
  EXPECT_TRUE(timer.done() && received.done() && posted);
  EXPECT_EQ(host("a").clock().Now() - clock, absl::Seconds(10));
}

class Counted : public WorkerBody {
 public:
  explicit Counted(int& live) : live_(live) { ++live_; }
  ~Counted() noexcept(false) { --live_; }

 private:
  int& live_;
};

TEST_F(SimWorldTest, WorkersAreMadeOnTheirLoopsAndDieWithTheProcess) {
  int live = 0;
  Machine& machine = world_.machine("a");
  Await(machine.StartWorkers(3, [&](size_t, Host&) { return kj::heap<Counted>(live); }));
  EXPECT_EQ(live, 3);
  EXPECT_EQ(machine.worker_count(), 3u);
  bool ran = false;
  EXPECT_TRUE(machine.worker(2).Post([&]() { ran = true; }));
  world_.RunFor(kSoon);
  EXPECT_TRUE(ran);
  world_.Kill("a", SimDiskAfter::kKeep);
  EXPECT_EQ(live, 0);
}

TEST_F(SimWorldTest, StartWorkersRejectsWhatMakingABodyThrew) {
  auto make = [](size_t i, Host&) -> kj::Own<WorkerBody> {
    KJ_REQUIRE(i == 0, "no room for a second");
    return kj::heap<WorkerBody>();
  };
  EXPECT_THROW(Await(world_.machine("a").StartWorkers(2, make)), kj::Exception);
}

TEST_F(SimWorldTest, OffloadRunsLaterAndPassesExceptions) {
  bool ran = false;
  auto promise = world_.machine("a").Offload([&]() { ran = true; });
  EXPECT_FALSE(ran);
  Await(kj::mv(promise));
  EXPECT_TRUE(ran);
  auto failing = world_.machine("a").Offload([]() { KJ_FAIL_REQUIRE("no"); });
  EXPECT_THROW(Await(kj::mv(failing)), kj::Exception);
}

TEST_F(SimWorldTest, ExitsOfOtherComputersCannotBeWatched) {
  EXPECT_FALSE(world_.machine("a").WatchExit(world_.machine("b").process()).has_value());
}

class SharedHostTest : public SimTest {
 public:
  SharedHostTest() : SimTest(Shared()) {}

 private:
  static SimOptions Shared() {
    SimOptions options;
    options.hosts = SimHosts::kShared;
    return options;
  }
};

TEST_F(SharedHostTest, ExitIsSeenSoonAfterTheKill) {
  auto b = world_.machine("b").process();
  Pending<void> exit(*world_.machine("a").WatchExit(b));
  world_.RunFor(kSoon);
  EXPECT_FALSE(exit.done());
  world_.Kill("b", SimDiskAfter::kKeep);
  world_.RunFor(absl::Milliseconds(1));
  EXPECT_TRUE(exit.done());
  EXPECT_FALSE(world_.machine("a").WatchExit(b).has_value());
}

TEST_F(SimWorldTest, LogLinesCarryVirtualTime) {
  world_.RunFor(absl::Milliseconds(1500));
  host("a").log().Info("member suspected", {{"member", "b"}});
  host("a").log().Debug("not wanted");
  ASSERT_EQ(world_.log().lines().size(), 1u);
  EXPECT_NE(world_.log().lines()[0].find("1.500000 I a member suspected member=b"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe
