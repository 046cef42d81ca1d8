// --permissions and --trace of a real node: who has no token is refused, and traced calls are
// written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "cluster_processes.h"
#include "hello.troupe.h"
#include "node_ending.h"
#include "troupe/actors/authorization.h"
#include "troupe/actors/client.h"
#include "troupe/actors/tracing.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const absl::Duration kLimit = TROUPE_TEST_SLOWDOWN * absl::Seconds(20);
constexpr char kToken[] = "0123456789abcdef-reader";

class InterceptProcessTest : public ::testing::Test {
 protected:
  InterceptProcessTest() {
    SetStandardErrorLogLevel(LogLevel::kError);
    char directory[] = "/tmp/troupe-intercept-test-XXXXXX";
    directory_ = mkdtemp(directory);
  }
  ~InterceptProcessTest() noexcept override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  static std::string TextOf(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // What it says, and its exit code.
  std::string Run(const std::string& arguments) {
    const std::string command = std::string(TROUPE_HELLO) + " " + arguments + " 2>&1; echo code $?";
    std::string out;
    std::FILE* pipe = popen(command.c_str(), "r");
    char chunk[4096];
    while (const size_t got = std::fread(chunk, 1, sizeof chunk, pipe)) out.append(chunk, got);
    pclose(pipe);
    return out;
  }

  std::string directory_;
};

TEST_F(InterceptProcessTest, ANodeAsksForTokensAndWritesSpans) {
  const auto spans = directory_ + "/spans.json";
  const auto permissions =
      File("permissions.toml", std::string("[[principal]]\nname = 'reader'\n") + "token = '" +
                                   kToken + "'\nallow = ['Greeter']\n");
  auto machine = std::move(UvMachine::Create({.node = "test"})).value();
  ClusterProcesses nodes(ClusterPlan{.binary = TROUPE_HELLO,
                                     .directory = directory_,
                                     .places = ClusterProcesses::OnLoopback(1),
                                     .arguments = {"--permissions", permissions, "--trace", spans},
                                     .prefix = "hello"});
  nodes.StartAll();
  {
    Random random(7);
    Client reader(machine->control(),
                  {.nodes = nodes.addresses(),
                   .metadata = {{kAuthorization, kToken}, {kTraceparent, NewTraceparent(random)}}});
    Client stranger(machine->control(), {.nodes = nodes.addresses()});
    auto& wait = machine->wait_scope();
    reader.Connected(kLimit).wait(wait);
    EXPECT_EQ(reader.Get<Greeter>("world").Greet("reader").Wait(wait).times, 1u);
    std::string refusal;
    stranger.Get<Greeter>("world")
        .Greet("stranger")
        .AsPromise()
        .then([](auto&&) {}, [&](kj::Exception&& e) { refusal = Words(e); })
        .wait(wait);
    EXPECT_THAT(refusal, HasSubstr("not allowed: Greeter.greet of Greeter needs a token"));
    EXPECT_EQ(reader.Get<Greeter>("world").Greet("reader").Wait(wait).times, 2u);
  }
  EXPECT_THAT(EndNodes(nodes), ::testing::IsEmpty());
  const auto written = TextOf(spans);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2) << written;
  EXPECT_THAT(written, AllOf(HasSubstr("\"name\":\"Greeter.greet\""),
                             HasSubstr("\"troupe.actor\":\"Greeter/world\"")));
}

TEST_F(InterceptProcessTest, FilesThatAreNotRightEndTheNodeWithCode2) {
  EXPECT_THAT(Run("--permissions /nowhere.toml"),
              AllOf(HasSubstr("cannot read /nowhere.toml"), HasSubstr("(setting permissions)"),
                    HasSubstr("code 2")));
  EXPECT_THAT(Run("--permissions " + File("bad.toml", "[[principal]]\nname = 'x'\n")),
              AllOf(HasSubstr("bad.toml line 1: the token of principal x has 0 bytes"),
                    HasSubstr("(setting permissions)"), HasSubstr("code 2")));
  EXPECT_THAT(Run("--trace /nowhere/spans"),
              AllOf(HasSubstr("cannot write spans to /nowhere/spans"), HasSubstr("(setting trace)"),
                    HasSubstr("code 2")));
}

}  // namespace
}  // namespace troupe
