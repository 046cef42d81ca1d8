// Real processes, real sockets, real signals: the failures of docs/semantics.md under load.
//
// Each test runs three copies of the wordcount node, counts words with many calls in flight, does
// something terrible, and reads every count back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

#include "cluster_processes.h"
#include "load.h"
#include "node_ending.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"
#include "wordcount.capnp.h"

namespace troupe {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(40);

std::vector<std::string> MakeWords() {
  std::vector<std::string> words;
  for (int i = 0; i < 3000; ++i) words.push_back("word" + std::to_string(i * i % 301));
  return words;
}

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() {
    SetStandardErrorLogLevel(LogLevel::kError);
    machine_ = std::move(UvMachine::Create({.node = "test"})).value();
    char directory[] = "/tmp/troupe-process-test-XXXXXX";
    directory_ = mkdtemp(directory);
    cluster_ =
        std::make_unique<ClusterProcesses>(ClusterPlan{.binary = TROUPE_WORDCOUNT,
                                                       .directory = directory_,
                                                       .places = ClusterProcesses::OnLoopback(3),
                                                       .arguments = {"--drain-limit", "1s"}});
    cluster_->StartAll();
    client_ = std::make_unique<Client>(machine_->control(),
                                       ClientOptions{.nodes = cluster_->addresses()});
    load_ = std::make_unique<Load>(machine_->control(), *client_, words_, 128);
  }
  ~ProcessTest() noexcept override {
    load_ = nullptr;
    client_ = nullptr;
    cluster_ = nullptr;
    if (!HasFailure()) {
      std::filesystem::remove_all(directory_);
    } else {
      std::fprintf(stderr, "logs of the nodes: %s\n", directory_.c_str());
    }
  }

  void TearDown() override { EXPECT_THAT(EndNodes(*cluster_), ::testing::IsEmpty()); }

  void Run(absl::Duration duration) {
    machine_->control()
        .timer()
        .afterDelay(absl::ToInt64Microseconds(duration) * kj::MICROSECONDS)
        .wait(machine_->wait_scope());
  }
  template <typename Done>
  bool RunUntil(Done done, absl::Duration limit = kLimit) {
    const absl::Time deadline = machine_->control().clock().Now() + limit;
    while (!done()) {
      if (machine_->control().clock().Now() > deadline) return false;
      Run(absl::Milliseconds(5));
    }
    return true;
  }
  // All three up and every shard with three copies in sync.
  bool Settled() {
    const auto& map = client_->map();
    if (!map || map->nodes.size() != 3) return false;
    for (const auto& node : map->nodes) {
      if (node.state != NodeState::kUp) return false;
    }
    for (const auto& shard : map->shards) {
      if (shard.state != ShardState::kActive || shard.isr.size() != 3) return false;
      for (CopyId copy : shard.isr) {
        if (!map->IsUp(copy)) return false;
      }
    }
    return true;
  }
  void Start() {
    ASSERT_TRUE(RunUntil([&] { return Settled(); }));
    load_->Start();
    ASSERT_TRUE(RunUntil([&] { return load_->answered() > 500; }));
  }
  // Ends the load and compares every count with what the callers were answered.
  void StopAndCheck() {
    load_->StopAfterPass();
    load_->Done().wait(machine_->wait_scope());
    EXPECT_EQ(load_->errors(), 0u) << load_->last_error();
    std::map<std::string, uint64_t> expected;
    for (const auto& word : words_) expected[word] += load_->passes();
    for (const auto& [word, count] : expected) {
      EXPECT_EQ(client_->Get<Word>(word).Count().Wait(machine_->wait_scope()), count) << word;
    }
  }
  size_t IndexOf(const std::string& name) { return static_cast<size_t>(cluster_->IndexOf(name)); }
  std::string Coordinator() {
    auto status = client_->Status("n1", absl::Seconds(5)).wait(machine_->wait_scope());
    capnp::FlatArrayMessageReader reader(status.words());
    return reader.getRoot<wire::StatusFrame>().getCoordinator().cStr();
  }
  bool IsUp(const std::string& name) {
    const auto* node = client_->map()->FindNode(name);
    return node != nullptr && node->state == NodeState::kUp;
  }
  void KillAndRestart(const std::string& name) {
    const Boot boot = client_->map()->FindNode(name)->boot;
    cluster_->Kill(IndexOf(name), SIGKILL);
    ASSERT_TRUE(RunUntil([&] { return !client_->map()->IsUp(boot); })) << name << " not noticed";
    Run(absl::Milliseconds(500));
    cluster_->Start(IndexOf(name));
    ASSERT_TRUE(RunUntil([&] { return Settled(); })) << name << " did not come back";
  }

  const std::vector<std::string> words_ = MakeWords();
  kj::Own<UvMachine> machine_;
  std::string directory_;
  std::unique_ptr<ClusterProcesses> cluster_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Load> load_;
};

TEST_F(ProcessTest, KillOfTheCoordinatorLosesAndDoublesNothing) {
  Start();
  KillAndRestart(Coordinator());
  StopAndCheck();
}

TEST_F(ProcessTest, KillOfEachNodeInTurnLosesAndDoublesNothing) {
  Start();
  for (const char* name : {"n1", "n2", "n3"}) KillAndRestart(name);
  StopAndCheck();
}

TEST_F(ProcessTest, ARestartFasterThanDetectionLosesAndDoublesNothing) {
  Start();
  const Boot before = client_->map()->FindNode("n2")->boot;
  cluster_->Kill(IndexOf("n2"), SIGKILL);
  cluster_->Start(IndexOf("n2"));
  ASSERT_TRUE(RunUntil([&] { return client_->map()->FindNode("n2")->boot > before && Settled(); }));
  StopAndCheck();
}

TEST_F(ProcessTest, AStoppedNodeIsReplacedAndComesBackAsABackup) {
  Start();
  const std::string stopped = Coordinator();
  cluster_->Kill(IndexOf(stopped), SIGSTOP);
  ASSERT_TRUE(RunUntil([&] { return !IsUp(stopped); }));
  Run(absl::Seconds(1));
  cluster_->Kill(IndexOf(stopped), SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Settled(); }));
  StopAndCheck();
}

TEST_F(ProcessTest, AnOrderlyStopIsNotFeltByCallers) {
  Start();
  load_->MarkKill(machine_->control().clock().Now());
  cluster_->Kill(IndexOf("n2"), SIGTERM);
  ASSERT_TRUE(RunUntil([&] {
    const auto* node = client_->map()->FindNode("n2");
    return node == nullptr || node->state == NodeState::kLeft;
  }));
  Run(absl::Milliseconds(300));
  EXPECT_LT(load_->GapSinceKill(), TROUPE_TEST_SLOWDOWN * absl::Seconds(1));
  StopAndCheck();
}

// It may hold all that is left, and nobody is there who could say otherwise.
TEST_F(ProcessTest, ToldToEndWithoutAQuorumItGoesOnUntilItIsToldAgain) {
  ASSERT_TRUE(RunUntil([&] { return Settled(); }));
  cluster_->Kill(IndexOf("n1"), SIGKILL);
  cluster_->Kill(IndexOf("n2"), SIGKILL);
  cluster_->Kill(IndexOf("n3"), SIGTERM);
  Run(absl::Seconds(3));
  EXPECT_EQ(cluster_->Ended(IndexOf("n3")), std::nullopt);
  cluster_->Kill(IndexOf("n3"), SIGTERM);
  std::optional<int> ended;
  EXPECT_TRUE(RunUntil([&] { return (ended = cluster_->Ended(IndexOf("n3"))).has_value(); }));
  EXPECT_TRUE(ended && WIFSIGNALED(*ended));
}

}  // namespace
}  // namespace troupe
