// Durable types on real processes, sockets and files: what was answered is there though all nodes
// are killed at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "cluster_processes.h"
#include "node_ending.h"
#include "savings.troupe.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

const absl::Duration kLimit = TROUPE_TEST_SLOWDOWN * absl::Seconds(60);
constexpr uint64_t kSavers = 8;

class DurableProcessTest : public ::testing::Test {
 protected:
  DurableProcessTest() {
    SetStandardErrorLogLevel(LogLevel::kError);
    machine_ = std::move(UvMachine::Create({.node = "test"})).value();
    char directory[] = "/tmp/troupe-durable-test-XXXXXX";
    directory_ = mkdtemp(directory);
  }
  ~DurableProcessTest() noexcept override {
    client_ = nullptr;
    nodes_ = nullptr;
    if (!HasFailure()) std::filesystem::remove_all(directory_);
  }
  void TearDown() override { EXPECT_THAT(EndNodes(*nodes_), ::testing::IsEmpty()); }

  void Start(int count) {
    auto places = ClusterProcesses::OnLoopback(count);
    for (int i = 0; i < count; ++i) {
      places[static_cast<size_t>(i)].arguments = {"--data-dir=" + DataOf(i)};
    }
    nodes_ = std::make_unique<ClusterProcesses>(ClusterPlan{
        .binary = TROUPE_SAVINGS, .directory = directory_, .places = places, .arguments = {}});
    nodes_->StartAll();
    client_ =
        std::make_unique<Client>(machine_->control(), ClientOptions{.nodes = nodes_->addresses()});
  }
  std::string DataOf(int node) const { return directory_ + "/data" + std::to_string(node); }
  std::string LogOf(size_t node) const {
    std::ostringstream text;
    text << std::ifstream(nodes_->nodes()[node].log_file).rdbuf();
    return text.str();
  }

  size_t TimesReady(size_t node) const {
    size_t times = 0;
    std::istringstream log(LogOf(node));
    for (std::string line; std::getline(log, line);) times += line.find(" ready ") != line.npos;
    return times;
  }

  template <typename T>
  T Await(kj::Promise<T> promise) {
    auto late = machine_->control().timer().afterDelay(ToKj(kLimit)).then([]() -> kj::Promise<T> {
      return KJ_EXCEPTION(FAILED, "no answer in time");
    });
    return promise.exclusiveJoin(kj::mv(late)).wait(machine_->wait_scope());
  }
  uint64_t Deposit(const std::string& key) {
    return Await(client_->Get<Savings>(key).WithDeadline(kLimit).Deposit(1).AsPromise());
  }
  void Wait(absl::Duration duration) {
    machine_->control().timer().afterDelay(ToKj(duration)).wait(machine_->wait_scope());
  }

  // One deposit after another; each answer says how many there were.
  Task<void> Save(uint64_t saver) {
    const auto key = "saver" + std::to_string(saver);
    while (!stop_) {
      auto deposit = client_->Get<Savings>(key).WithDeadline(kLimit).Deposit(1);
      const uint64_t balance = co_await deposit;
      EXPECT_EQ(balance, ++answered_[saver]) << key;
    }
  }
  void KillAll(int signal) {
    for (size_t i = 0; i < nodes_->nodes().size(); ++i) nodes_->Kill(i, signal);
  }

  kj::Own<UvMachine> machine_;
  std::string directory_;
  std::unique_ptr<ClusterProcesses> nodes_;
  std::unique_ptr<Client> client_;
  bool stop_ = false;
  uint64_t answered_[kSavers] = {};
};

TEST_F(DurableProcessTest, NothingIsLostOrDoubledThoughAllNodesAreKilledAtOnce) {
  Start(3);
  std::vector<kj::Promise<void>> savers;
  for (uint64_t i = 0; i < kSavers; ++i) {
    savers.push_back(Save(i).AsPromise().eagerlyEvaluate(nullptr));
  }
  for (int round = 0; round < 3; ++round) {
    Wait(absl::Milliseconds(700));
    KillAll(SIGKILL);
    for (size_t i = 0; i < 3; ++i) {
      nodes_->Start((i + static_cast<size_t>(round)) % 3);
      if (round == 1) Wait(absl::Milliseconds(400));
    }
    Wait(absl::Seconds(2));
  }
  stop_ = true;
  for (auto& saver : savers) Await(kj::mv(saver));
  for (uint64_t i = 0; i < kSavers; ++i) {
    EXPECT_GT(answered_[i], 20u);
    const auto key = "saver" + std::to_string(i);
    EXPECT_EQ(Await(client_->Get<Savings>(key).Balance().AsPromise()), answered_[i]);
  }
}

TEST_F(DurableProcessTest, OneNodeWithADataDirectoryIsEnough) {
  Start(1);
  for (uint64_t i = 1; i <= 50; ++i) EXPECT_EQ(Deposit("x"), i);
  nodes_->Kill(0, SIGKILL);
  nodes_->Start(0);
  EXPECT_EQ(Deposit("x"), 51u);
}

TEST_F(DurableProcessTest, AnOrderlyEndOfAllNodesLosesNothing) {
  Start(3);
  EXPECT_EQ(Deposit("x"), 1u);
  nodes_->Stop();
  nodes_->StartAll();
  EXPECT_EQ(Deposit("x"), 2u);
}

TEST_F(DurableProcessTest, ANodeWhoseRecordsWereTakenAwayDoesNotStartAndSaysWhatToDo) {
  Start(3);
  EXPECT_EQ(Deposit("x"), 1u);
  nodes_->Kill(0, SIGKILL);
  std::filesystem::remove_all(DataOf(0) + "/records");
  nodes_->Start(0);
  std::optional<int> status;
  for (int i = 0; i < 200 && !status.has_value(); ++i) {
    Wait(absl::Milliseconds(100));
    status = nodes_->Ended(0);
  }
  ASSERT_TRUE(status.has_value());
  EXPECT_NE(*status, 0);
  EXPECT_THAT(LogOf(0), HasSubstr("the folder \"records\" of the data directory is gone"));
  std::filesystem::remove_all(DataOf(0));
  const size_t before = TimesReady(0);
  nodes_->Start(0);
  for (int i = 0; i < 200 && TimesReady(0) == before; ++i) Wait(absl::Milliseconds(100));
  EXPECT_EQ(TimesReady(0), before + 1);
  EXPECT_EQ(Deposit("x"), 2u);
}

TEST(DurableNode, WithoutADataDirectoryDoesNotStartAndSaysWhichSettingIsMissing) {
  const std::string command = std::string(TROUPE_SAVINGS) + " --name n --listen 127.0.0.1:0 2>&1";
  FILE* run = popen(command.c_str(), "r");
  ASSERT_NE(run, nullptr);
  char text[1024] = {};
  EXPECT_GT(fread(text, 1, sizeof(text) - 1, run), 0u);
  const int ended = pclose(run);
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 1) << ended;
  EXPECT_THAT(text, HasSubstr("its state is kept on disk, and this node has nowhere to keep it: "
                              "give it a data directory, --data-dir PATH"));
  EXPECT_THAT(text, HasSubstr("(setting data-dir)"));
}

}  // namespace
}  // namespace troupe
