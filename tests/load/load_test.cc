// Real nodes under more than they can serve: bounded memory, clear refusals, nobody lost.
//
// Sizes are small by default; with LOAD_SIZE=full they are those that docs and limits speak of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <thread>

#include "chaos.capnp.h"
#include "cluster_processes.h"
#include "coverage.h"
#include "node_ending.h"
#include "run_directory.h"
#include "troupe/actors/client.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(60);
constexpr size_t kMiB = 1 << 20;
// What a sanitizer keeps beside each byte counts as memory too.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr size_t kShadow = 4;
#else
constexpr size_t kShadow = 1;
#endif

bool Full() {
  const char* size = getenv("LOAD_SIZE");
  return size != nullptr && std::string(size) == "full";
}

// As many descriptors as we may have, for us and for the nodes that we start.
size_t RaiseFileLimit() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

class LoadTest : public ::testing::Test {
 protected:
  LoadTest() : files_(RaiseFileLimit()), directory_("troupe-load-test-") {
    SetStandardErrorLogLevel(LogLevel::kError);
    machine_ = std::move(UvMachine::Create({.node = "test"})).value();
  }
  ~LoadTest() noexcept override {
    if (HasFailure()) directory_.Keep();
    watcher_ = nullptr;
    cluster_ = nullptr;
    if (HasFailure()) fprintf(stderr, "logs of the nodes: %s\n", directory_.path().c_str());
  }

  void TearDown() override { EXPECT_THAT(EndNodes(*cluster_), ::testing::IsEmpty()); }

  void Start(int nodes, std::vector<std::string> arguments = {}) {
    cluster_ = std::make_unique<ClusterProcesses>(
        ClusterPlan{.binary = TROUPE_CHAOS_NODE,
                    .directory = directory_.path(),
                    .places = ClusterProcesses::OnLoopback(nodes),
                    .arguments = std::move(arguments)});
    cluster_->StartAll();
    watcher_ = MakeClient(machine_->control(), "watcher");
    ASSERT_TRUE(RunUntil([&] { return Whole(); })) << "the cluster did not come about";
    for (const auto& node : watcher_->map()->nodes) boots_.push_back(node.boot);
    watcher_->OnMapChange([this](const ClusterState& map) {
      for (Boot boot : boots_) lost_member_ |= !map.IsUp(boot);
    });
  }
  std::unique_ptr<Client> MakeClient(Host& host, const std::string& name) {
    return std::make_unique<Client>(host,
                                    ClientOptions{.nodes = cluster_->addresses(), .name = name});
  }
  bool Whole() {
    if (!watcher_->map()) return false;
    const Coverage cover = Cover(*watcher_->map());
    return cover.full() && cover.up == cluster_->nodes().size();
  }
  void Run(absl::Duration duration) {
    machine_->control()
        .timer()
        .afterDelay(absl::ToInt64Microseconds(duration) * kj::MICROSECONDS)
        .wait(scope());
  }
  template <typename Done>
  bool RunUntil(Done done, absl::Duration limit = kLimit) {
    const absl::Time deadline = Now() + limit;
    while (!done()) {
      if (Now() > deadline) return false;
      Run(absl::Milliseconds(20));
    }
    return true;
  }
  absl::Time Now() { return machine_->control().clock().Now(); }
  kj::WaitScope& scope() { return machine_->wait_scope(); }
  // Resident bytes of the node that has most.
  size_t MostMemory() const {
    size_t most = 0;
    for (const auto& node : cluster_->nodes()) {
      std::ifstream file("/proc/" + std::to_string(node.pid) + "/statm");
      size_t all = 0, resident = 0;
      file >> all >> resident;
      most = std::max(most, resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    }
    return most;
  }
  void ExpectAllWell() {
    EXPECT_FALSE(lost_member_) << "a member was taken for dead";
    EXPECT_TRUE(RunUntil([&] { return Whole(); }));
    for (size_t i = 0; i < cluster_->nodes().size(); ++i) EXPECT_FALSE(cluster_->Ended(i));
    auto reply = watcher_->Get<Tally>("afterwards").getRequest().send().wait(scope());
    EXPECT_EQ(reply.getValue(), 0);
  }

  const size_t files_;
  RunDirectory directory_;
  kj::Own<UvMachine> machine_;
  std::unique_ptr<ClusterProcesses> cluster_;
  std::unique_ptr<Client> watcher_;
  std::vector<Boot> boots_;
  bool lost_member_ = false;
};

// How calls ended.
struct Tallied {
  size_t open = 0, answered = 0, full = 0, late = 0;
  std::map<std::string, size_t> other;
  void Ended(const kj::Exception& e) {
    const std::string words = Words(e);
    const bool overloaded = e.getType() == kj::Exception::Type::OVERLOADED;
    if (overloaded && words.find("mailbox is full") != words.npos) {
      ++full;
    } else if (overloaded) {
      ++late;
    } else {
      ++other[words];
    }
  }
};

struct Ignore final : kj::TaskSet::ErrorHandler {
  void taskFailed(kj::Exception&& e) override { ADD_FAILURE() << Words(e); }
};

TEST_F(LoadTest, TenTimesWhatCanBeServedIsRefusedAndLosesNobody) {
  Start(3);
  constexpr auto kWork = 4'000;  // Microseconds of a processor, each call.
  const absl::Duration limit = absl::Seconds(Full() ? 30 : 4);
  const int clients = 24, actors = Full() ? 12 : 6, calls = Full() ? 400 : 170;
  std::vector<std::unique_ptr<Client>> callers;
  for (int i = 0; i < clients; ++i) {
    callers.push_back(MakeClient(machine_->control(), "c" + std::to_string(i)));
    callers.back()->Connected(kLimit).wait(scope());
  }
  Tallied tally;
  Ignore ignore;
  kj::TaskSet tasks(ignore);
  const size_t memory_before = MostMemory();
  const absl::Time began = Now();
  for (auto& caller : callers) {
    for (int a = 0; a < actors; ++a) {
      auto ref = caller->Get<Tally>("busy" + std::to_string(a), {.deadline = limit});
      for (int i = 0; i < calls; ++i) {
        auto request = ref.workRequest();
        request.setMicroseconds(kWork);
        ++tally.open;
        tasks.add(request.send().then(
            [&tally](auto&&) {
              --tally.open;
              ++tally.answered;
            },
            [&tally](kj::Exception&& e) {
              --tally.open;
              tally.Ended(e);
            }));
      }
    }
  }
  size_t memory = 0;
  EXPECT_TRUE(RunUntil(
      [&] {
        memory = std::max(memory, MostMemory());
        return tally.open == 0;
      },
      limit + kLimit))
      << tally.open << " calls did not end by their deadline";
  fprintf(stderr,
          "%d calls in %.1f s: %zu answered, %zu refused at a full mailbox, %zu out of time; "
          "memory of a node %zu -> %zu MiB\n",
          clients * actors * calls, absl::ToDoubleSeconds(Now() - began), tally.answered,
          tally.full, tally.late, memory_before / kMiB, memory / kMiB);
  EXPECT_GT(tally.answered, 0u);
  EXPECT_GT(tally.full + tally.late, tally.answered);
  EXPECT_THAT(tally.other, ::testing::IsEmpty());
  EXPECT_LT(memory, memory_before + 256 * kMiB * kShadow);
  ExpectAllWell();
}

TEST_F(LoadTest, IdleAndBusyConnectionsFit) {
  Start(1, {"--shards", "16"});
  // A descriptor at each end, and some for other things.
  const size_t wanted = Full() ? 10'000 : 1'000;
  const size_t connections = std::min(wanted, files_ - 1'500);
  if (connections < wanted) {
    fprintf(stderr, "only %zu connections: %zu descriptors\n", connections, files_);
  }
  // A client object has one to the address that it was given, and one to the node of the map.
  const size_t idle = connections / 2;
  const size_t busy = connections / 10;
  const size_t memory_before = MostMemory();
  std::vector<std::unique_ptr<Client>> clients;
  while (clients.size() < idle) {
    const size_t begin = clients.size();
    for (size_t i = 0; i < 200 && clients.size() < idle; ++i) {
      clients.push_back(MakeClient(machine_->control(), "idle"));
    }
    for (size_t i = begin; i < clients.size(); ++i) clients[i]->Connected(kLimit).wait(scope());
  }
  const size_t memory_idle = MostMemory();
  size_t answered = 0;
  Ignore ignore;
  kj::TaskSet tasks(ignore);
  const absl::Time until = Now() + absl::Seconds(Full() ? 10 : 2);
  std::vector<Tally::Client> refs;
  for (size_t i = 0; i < busy; ++i) {
    refs.push_back(clients[i]->Get<Tally>("t" + std::to_string(i % 97), {.deadline = kLimit}));
  }
  size_t open = busy;
  std::function<kj::Promise<void>(size_t)> next = [&](size_t i) -> kj::Promise<void> {
    if (Now() > until) {
      --open;
      return kj::READY_NOW;
    }
    auto request = refs[i].addRequest();
    request.setBy(1);
    return request.send().then([&, i](auto&&) {
      ++answered;
      return next(i);
    });
  };
  for (size_t i = 0; i < busy; ++i) tasks.add(next(i));
  EXPECT_TRUE(RunUntil([&] { return open == 0; }, absl::Seconds(30) + kLimit));
  const size_t memory_busy = MostMemory();
  fprintf(stderr,
          "%zu clients with two connections each, %zu of them busy with %zu calls; memory of the "
          "node %zu, idle %zu (%.1f "
          "KiB each), busy %zu MiB\n",
          idle, busy, answered, memory_before / kMiB, memory_idle / kMiB,
          static_cast<double>(memory_idle - memory_before) / 1024 / static_cast<double>(idle),
          memory_busy / kMiB);
  EXPECT_GE(answered, busy);
  EXPECT_LT(memory_idle - memory_before, connections * (48 << 10) + 16 * kMiB);
  EXPECT_LT(memory_busy - memory_before, connections * (48 << 10) + 128 * kMiB);
  ExpectAllWell();
}

// A client that asks for much and reads nothing, on a loop of its own that stands still.
class SlowReader {
 public:
  SlowReader(std::vector<std::string> nodes, int actors, int calls, uint64_t bytes)
      : thread_([this, nodes, actors, calls, bytes] {
          auto machine = std::move(UvMachine::Create({.node = "slow"})).value();
          auto& scope = machine->wait_scope();
          Client client(machine->control(), {.nodes = nodes, .name = "slow"});
          client.Connected(kLimit).wait(scope);
          std::vector<kj::Promise<void>> open;
          for (int i = 0; i < calls; ++i) {
            auto request =
                client.Get<Tally>("big" + std::to_string(i % actors), {.deadline = kDeadlineMax})
                    .ballastRequest();
            request.setBytes(bytes);
            open.push_back(request.send().ignoreResult());
          }
          machine->control().timer().afterDelay(20 * kj::MILLISECONDS).wait(scope);
          asked_.set_value();
          end_.get_future().wait();
        }) {
    asked_.get_future().wait();
  }
  ~SlowReader() {
    end_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> asked_, end_;
  std::thread thread_;
};

TEST_F(LoadTest, ASlowReaderDoesNotGrowANodeWithoutBound) {
  Start(1);
  const size_t memory_before = MostMemory();
  size_t memory = memory_before;
  {
    // Two gigabytes of answers, or eight.
    SlowReader slow(cluster_->addresses(), 16, Full() ? 2048 : 1024, 4 * kMiB);
    const absl::Time until = Now() + absl::Seconds(Full() ? 20 : 5);
    RunUntil([&] {
      memory = std::max(memory, MostMemory());
      return Now() > until;
    });
    // Others are served meanwhile.
    auto request = watcher_->Get<Tally>("other").addRequest();
    request.setBy(1);
    EXPECT_EQ(request.send().wait(scope()).getValue(), 1);
  }
  fprintf(stderr, "a client that reads nothing: memory of the node %zu -> %zu MiB\n",
          memory_before / kMiB, memory / kMiB);
  EXPECT_LT(memory, memory_before + 256 * kMiB * kShadow);
  ExpectAllWell();
}

}  // namespace
}  // namespace troupe
