// Two programs, real processes, real sockets: the node that does not belong says why, and ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "cluster_processes.h"
#include "node_ending.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/uv_machine.h"
#include "wordcount.troupe.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const absl::Duration kLimit = TROUPE_TEST_SLOWDOWN * absl::Seconds(20);

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

std::string OutputOf(const std::string& command) {
  std::string out;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot run " + command;
  char chunk[4096];
  while (const size_t got = std::fread(chunk, 1, sizeof chunk, pipe)) out.append(chunk, got);
  pclose(pipe);
  return out;
}

class TypesProcessTest : public ::testing::Test {
 protected:
  TypesProcessTest() {
    SetStandardErrorLogLevel(LogLevel::kError);
    machine_ = std::move(UvMachine::Create({.node = "test"})).value();
    char directory[] = "/tmp/troupe-types-test-XXXXXX";
    directory_ = mkdtemp(directory);
    words_ = std::make_unique<ClusterProcesses>(ClusterPlan{.binary = TROUPE_WORDCOUNT,
                                                            .directory = directory_,
                                                            .places = Loopback(2),
                                                            .arguments = {},
                                                            .prefix = "word"});
    words_->StartAll();
    client_ =
        std::make_unique<Client>(machine_->control(), ClientOptions{.nodes = words_->addresses()});
    client_->Connected(kLimit).wait(machine_->wait_scope());
  }
  ~TypesProcessTest() noexcept override {
    client_ = nullptr;
    hello_ = nullptr;
    words_ = nullptr;
    if (!HasFailure()) {
      std::filesystem::remove_all(directory_);
    } else {
      std::fprintf(stderr, "logs of the nodes: %s\n", directory_.c_str());
    }
  }
  void TearDown() override { EXPECT_THAT(EndNodes(*words_), ::testing::IsEmpty()); }

  static std::vector<NodePlace> Loopback(int count) { return ClusterProcesses::OnLoopback(count); }

  template <typename Done>
  bool RunUntil(Done done) {
    const absl::Time deadline = machine_->control().clock().Now() + kLimit;
    while (!done()) {
      if (machine_->control().clock().Now() > deadline) return false;
      machine_->control().timer().afterDelay(5 * kj::MILLISECONDS).wait(machine_->wait_scope());
    }
    return true;
  }
  std::string LogOf(const NodeProcess& node) {
    std::ifstream file(node.log_file);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  uint64_t AddWord(const std::string& word) {
    return client_->Get<Word>(word).Add(1).Wait(machine_->wait_scope());
  }

  kj::Own<UvMachine> machine_;
  std::string directory_;
  std::unique_ptr<ClusterProcesses> words_, hello_;
  std::unique_ptr<Client> client_;
};

TEST_F(TypesProcessTest, ANodeOfAnotherProgramEndsAndSaysWhatEachHosts) {
  const uint64_t before = AddWord("troupe");
  hello_ = std::make_unique<ClusterProcesses>(
      ClusterPlan{.binary = TROUPE_HELLO,
                  .directory = directory_,
                  .places = Loopback(1),
                  .arguments = {"--join", Join(words_->addresses())},
                  .prefix = "hello"});
  hello_->StartAll();
  std::optional<int> ended;
  ASSERT_TRUE(RunUntil([&] { return (ended = hello_->Ended(0)).has_value(); }));
  EXPECT_TRUE(WIFEXITED(*ended) && WEXITSTATUS(*ended) == 1) << *ended;
  EXPECT_THAT(LogOf(hello_->nodes()[0]),
              AllOf(HasSubstr("node hello1 hosts Greeter, but node word1 hosts Word"),
                    HasSubstr("a cluster of its own (another --join, or none)"),
                    HasSubstr("Nodes that it does not fit: word1, word2")));
  EXPECT_EQ(client_->map()->FindNode("hello1"), nullptr);
  EXPECT_EQ(AddWord("troupe"), before + 1);
}

TEST_F(TypesProcessTest, StatusNamesTheTypes) {
  const std::string table =
      OutputOf(std::string(TROUPE_COMMAND) + " status --nodes " + Join(words_->addresses()));
  EXPECT_THAT(table, HasSubstr("types    Word\n"));
  EXPECT_THAT(table, ::testing::ContainsRegex("word2 .* all "));
}

}  // namespace
}  // namespace troupe
