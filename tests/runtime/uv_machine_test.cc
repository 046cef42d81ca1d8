// UvMachine: workers, posts, signals and the death of other processes.
#include "troupe/runtime/uv_machine.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "troupe/runtime/thread_name.h"

namespace troupe {
namespace {

kj::Own<UvMachine> MakeMachine() {
  auto machine = UvMachine::Create({.node = "test"});
  KJ_REQUIRE(machine.ok(), std::string(machine.status().message()).c_str());
  return kj::mv(*machine);
}

// A body that checks where it lives and dies.
class Body final : public WorkerBody {
 public:
  explicit Body(std::atomic<int>& alive) : alive_(alive), thread_(std::this_thread::get_id()) {
    ++alive_;
  }
  ~Body() noexcept(false) override {
    EXPECT_EQ(thread_, std::this_thread::get_id());
    --alive_;
  }

 private:
  std::atomic<int>& alive_;
  const std::thread::id thread_;
};

TEST(UvMachine, StartsAndStopsWorkersAgainAndAgain) {
  std::atomic<int> alive{0};
  for (int round = 0; round < 100; ++round) {
    auto machine = MakeMachine();
    machine
        ->StartWorkers(3,
                       [&](size_t index, Host&) -> kj::Own<WorkerBody> {
                         EXPECT_EQ(ThreadName(), absl::StrCat("worker-", index));
                         return kj::heap<Body>(alive);
                       })
        .wait(machine->wait_scope());
    EXPECT_EQ(alive, 3);
    EXPECT_EQ(machine->worker_count(), 3u);
    machine->StopWorkers();
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(machine->worker(0).Post([]() {}));
    EXPECT_FALSE(machine->worker(0).PostControl([]() {}));
  }
}

// A node that joins anew in one process stops its workers and starts others.
TEST(UvMachine, StartsNewWorkersInPlaceOfStoppedOnes) {
  std::atomic<int> alive{0};
  auto machine = MakeMachine();
  auto make = [&](size_t, Host&) -> kj::Own<WorkerBody> { return kj::heap<Body>(alive); };
  for (size_t round = 0; round < 20; ++round) {
    const size_t count = 1 + round % 3;
    machine->StartWorkers(count, make).wait(machine->wait_scope());
    ASSERT_EQ(alive, static_cast<int>(count));
    ASSERT_EQ(machine->worker_count(), count);
    EXPECT_THROW(machine->StartWorkers(1, make).wait(machine->wait_scope()), kj::Exception);
    Host& former = machine->worker(0);
    auto answered = kj::newPromiseAndFulfiller<void>();
    ASSERT_TRUE(former.Post(
        [&] { machine->control().PostControl([&] { answered.fulfiller->fulfill(); }); }));
    answered.promise.wait(machine->wait_scope());
    machine->StopWorkers();
    ASSERT_EQ(alive, 0);
    EXPECT_FALSE(former.Post([] {}));  // Whoever still knows it may ask, also later.
  }
}

// The first ones had started, but had not been heard, when they were stopped: what they said was
// taken for word of the second ones, of whom none lived yet.
TEST(UvMachine, WorkersThatWereStoppedWhileTheyStartedDoNotSpeakForTheNext) {
  std::atomic<int> alive{0};
  for (int round = 0; round < 30; ++round) {
    auto machine = MakeMachine();
    auto first = machine->StartWorkers(
        3, [&](size_t, Host&) -> kj::Own<WorkerBody> { return kj::heap<Body>(alive); });
    machine->StopWorkers();
    ASSERT_EQ(alive, 0);
    machine
        ->StartWorkers(3,
                       [&](size_t, Host&) -> kj::Own<WorkerBody> {
                         std::this_thread::yield();
                         return kj::heap<Body>(alive);
                       })
        .wait(machine->wait_scope());
    ASSERT_EQ(alive, 3);
    machine->StopWorkers();
  }
}

TEST(UvMachine, MayBeDroppedWhileWorkersStart) {
  std::atomic<int> alive{0};
  for (int round = 0; round < 30; ++round) {
    auto machine = MakeMachine();
    auto starting = machine->StartWorkers(
        2, [&](size_t, Host&) -> kj::Own<WorkerBody> { return kj::heap<Body>(alive); });
  }
  EXPECT_EQ(alive, 0);
}

TEST(UvMachine, FailureOfABodyRejectsTheStart) {
  auto machine = MakeMachine();
  auto starting = machine->StartWorkers(3, [](size_t index, Host&) -> kj::Own<WorkerBody> {
    KJ_REQUIRE(index != 1, "no body for this one");
    return kj::heap<WorkerBody>();
  });
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { starting.wait(machine->wait_scope()); })) {
    EXPECT_THAT(e->getDescription().cStr(), testing::HasSubstr("no body"));
  } else {
    ADD_FAILURE() << "started";
  }
}

TEST(UvMachine, StopsWhileEverybodyPostsToEverybody) {
  // Each post makes the next one, on another loop, until the stop breaks the chain.
  struct Ball {
    UvMachine* machine;
    std::atomic<int64_t>* bounces;
    size_t at;
    void operator()() {
      ++*bounces;
      Ball next{machine, bounces, (at + 1) % 4};
      Host& host = next.at == 3 ? machine->control() : machine->worker(next.at);
      (void)host.Post(kj::mv(next));  // A kj::Function keeps a reference to an lvalue.
    }
  };
  for (int round = 0; round < 20; ++round) {
    std::atomic<int64_t> bounces{0};
    auto machine = MakeMachine();
    machine->StartWorkers(3, [](size_t, Host&) { return kj::heap<WorkerBody>(); })
        .wait(machine->wait_scope());
    for (size_t i = 0; i < 50; ++i)
      EXPECT_TRUE(machine->worker(i % 3).Post(Ball{machine.get(), &bounces, i % 3}));
    machine->control().timer().afterDelay(2 * kj::MILLISECONDS).wait(machine->wait_scope());
    machine->StopWorkers();
    EXPECT_GT(bounces, 50);
  }
}

TEST(UvMachine, HandsPostsOfManyThreadsToTheControlLoop) {
  auto machine = MakeMachine();
  constexpr int kThreads = 4, kPosts = 5000;
  std::vector<int> next(kThreads, 0);
  int received = 0;
  auto done = kj::newPromiseAndFulfiller<void>();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        EXPECT_TRUE(machine->control().Post([&, t, i]() {
          EXPECT_EQ(next[t]++, i);
          if (++received == kThreads * kPosts) done.fulfiller->fulfill();
        }));
      }
    });
  }
  done.promise.wait(machine->wait_scope());
  for (auto& thread : threads) thread.join();
}

TEST(UvMachine, OffloadsFromWorkersAndFromTheControlLoop) {
  auto machine = MakeMachine();
  auto control_thread = std::this_thread::get_id();
  machine->Offload([&]() { EXPECT_NE(std::this_thread::get_id(), control_thread); })
      .wait(machine->wait_scope());

  class Offloader final : public WorkerBody {
   public:
    Offloader(UvMachine& machine, kj::Function<void()> done)
        : work_(machine.Offload([]() {})
                    .then([self = std::this_thread::get_id(), done = kj::mv(done)]() mutable {
                      EXPECT_EQ(self, std::this_thread::get_id());
                      done();
                    })
                    .eagerlyEvaluate(nullptr)) {}

   private:
    kj::Promise<void> work_;
  };
  auto done = kj::newPromiseAndFulfiller<void>();
  machine
      ->StartWorkers(1,
                     [&](size_t, Host&) -> kj::Own<WorkerBody> {
                       return kj::heap<Offloader>(*machine, [&]() {
                         machine->control().PostControl([&]() { done.fulfiller->fulfill(); });
                       });
                     })
      .wait(machine->wait_scope());
  done.promise.wait(machine->wait_scope());
  machine->StopWorkers();
}

TEST(UvMachine, WorkersHaveNetworksOfTheirOwn) {
  auto machine = MakeMachine();
  auto listener = machine->control().network().Listen("127.0.0.1:0");
  std::string address = (*listener)->address();

  class Dialer final : public WorkerBody {
   public:
    Dialer(Host& host, const std::string& address)
        : work_(host.network()
                    .Dial(address, absl::Seconds(5))
                    .then([this](Dialed dialed) {
                      stream_ = kj::mv(dialed.stream);
                      return stream_->write("hello", 5);
                    })
                    .eagerlyEvaluate(nullptr)) {}

   private:
    kj::Own<kj::AsyncIoStream> stream_;
    kj::Promise<void> work_;
  };
  machine
      ->StartWorkers(1,
                     [&](size_t, Host& host) -> kj::Own<WorkerBody> {
                       return kj::heap<Dialer>(host, address);
                     })
      .wait(machine->wait_scope());
  Accepted accepted = (*listener)->Accept().wait(machine->wait_scope());
  char text[6] = "";
  accepted.stream->read(text, 5, 5).wait(machine->wait_scope());
  EXPECT_STREQ(text, "hello");
}

TEST(UvMachine, ClockAndRandomIdsAreTheSystems) {
  auto machine = MakeMachine();
  Host& host = machine->control();
  absl::Time before = host.clock().Now();
  EXPECT_GE(host.clock().Now(), before);
  EXPECT_LT(absl::AbsDuration(host.clock().WallNow() - absl::Now()), absl::Seconds(10));
  EXPECT_NE(host.RandomId(), host.RandomId());
  EXPECT_FALSE(host.RandomId().IsZero());
  uint64_t other = 0;
  std::thread([&other] { other = MakeMachine()->control().random().Next(); }).join();
  EXPECT_NE(host.random().Next(), other);
}

TEST(UvMachine, FirstSignalResolves) {
  auto machine = MakeMachine();
  auto signal = machine->OnSignal({SIGUSR1, SIGUSR2});
  EXPECT_FALSE(signal.poll(machine->wait_scope()));
  ::kill(::getpid(), SIGUSR2);
  EXPECT_EQ(signal.wait(machine->wait_scope()), SIGUSR2);
  { auto dropped = machine->OnSignal({SIGUSR1}); }
}

// A child process that sleeps until it is killed.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      while (true) ::pause();
    }
  }
  ~Child() { Kill(); }
  pid_t pid() const { return pid_; }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

uint64_t StartTimeOf(pid_t pid) {
  char path[64], text[1024] = "";
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE* file = std::fopen(path, "r");
  size_t n = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[n] = '\0';
  char* at = std::strrchr(text, ')');
  for (int field = 2; field < 22; ++field) at = std::strchr(at + 1, ' ');
  return std::strtoull(at, nullptr, 10);
}

TEST(UvMachine, SeesTheDeathOfAnotherProcess) {
  Child child;
  auto machine = MakeMachine();
  ProcessIdentity process = machine->process();
  EXPECT_EQ(process.pid, ::getpid());
  EXPECT_EQ(process.start_time, StartTimeOf(::getpid()));
  EXPECT_NE(process.boot_id_hash, 0u);
  EXPECT_NE(process.pid_namespace, 0u);

  process.pid = child.pid();
  process.start_time = StartTimeOf(child.pid());
  auto exit = machine->WatchExit(process);
  ASSERT_TRUE(exit.has_value());
  EXPECT_FALSE(exit->poll(machine->wait_scope()));
  { auto dropped = machine->WatchExit(process); }
  child.Kill();
  exit->wait(machine->wait_scope());
  EXPECT_FALSE(machine->WatchExit(process).has_value());
}

TEST(UvMachine, DoesNotWatchWhatIsNotThatProcess) {
  Child child;
  auto machine = MakeMachine();
  ProcessIdentity process = machine->process();
  process.pid = child.pid();
  process.start_time = StartTimeOf(child.pid());
  for (auto field : {&ProcessIdentity::start_time, &ProcessIdentity::pid_namespace,
                     &ProcessIdentity::boot_id_hash}) {
    ProcessIdentity other = process;
    other.*field += 1;
    EXPECT_FALSE(machine->WatchExit(other).has_value());
    other.*field = 0;
    EXPECT_FALSE(machine->WatchExit(other).has_value());
  }
  EXPECT_FALSE(machine->WatchExit({}).has_value());
}

}  // namespace
}  // namespace troupe
