// troupe: the command that shows what a cluster does, and does what only a person may decide. See
// `troupe help`.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "operator_command.h"
#include "status_report.h"
#include "troupe/actors/call.capnp.h"
#include "troupe/actors/client.h"
#include "troupe/actors/setting_values.h"
#include "troupe/actors/settings.h"
#include "troupe/membership/hosted_types.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

constexpr absl::Duration kConnectLimit = absl::Seconds(2);
constexpr absl::Duration kAnswerLimit = absl::Seconds(1);
constexpr absl::Duration kResumeLimit = absl::Seconds(10);
constexpr auto kWatchPause = 1 * kj::SECONDS;

constexpr const char* kUsage = R"(usage: troupe COMMAND [FLAG...]

  status    members and their state, the coordinator, shards and their copies, actors
      --nodes HOST:PORT,...   nodes to ask; one that answers is enough [127.0.0.1:7100]
      --cluster NAME          the cluster's name [troupe]
      --json                  one JSON object, on one line
      --watch                 again every second, until interrupted
)";
constexpr const char* kResumeUsage =
    R"(  resume TYPE/KEY           has an actor that was suspended tried again at once
      --nodes, --cluster      as for status
)";
constexpr const char* kUsageEnd = R"(  help      this text

Exit code: 0 when the cluster answered or it is done, 1 when no node answered in time or it was
refused, 2 for a wrong command line.
)";

std::string Usage() { return absl::StrCat(kUsage, kResumeUsage, kOperatorUsage, kUsageEnd); }

struct StatusRequest {
  ClientOptions client;
  std::string actor;  // Of `resume`: TYPE/KEY.
  bool json = false;
  bool watch = false;
};

std::string Nearest(const std::string& word, const std::vector<std::string>& known) {
  return *std::min_element(known.begin(), known.end(), [&](auto& a, auto& b) {
    return EditDistance(word, a) < EditDistance(word, b);
  });
}

absl::Status TakeFlag(StatusRequest& request, const std::string& flag, const std::string& value) {
  if (flag == "--nodes") {
    request.client.nodes = absl::StrSplit(value, ',', absl::SkipEmpty());
    for (const auto& node : request.client.nodes) {
      if (IsDialAddress(node)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--nodes: expected host:port, got \"", node, "\""));
    }
    if (request.client.nodes.empty()) {
      return absl::InvalidArgumentError("--nodes: expected host:port, got nothing");
    }
    return absl::OkStatus();
  }
  request.client.cluster_name = value;
  return absl::OkStatus();
}

absl::StatusOr<StatusRequest> ReadArguments(const std::string& command,
                                            const std::vector<std::string>& arguments) {
  StatusRequest request;
  const bool resumes = command == "resume";
  request.client.nodes = {"127.0.0.1:7100"};
  request.client.name = absl::StrCat("troupe ", command);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, equals);
    if (resumes && request.actor.empty() && arguments[i].rfind("--", 0) != 0) {
      request.actor = arguments[i];
    } else if (flag == "--json" && equals == flag.npos) {
      request.json = true;
    } else if (flag == "--watch" && equals == flag.npos) {
      request.watch = true;
    } else if (flag == "--nodes" || flag == "--cluster") {
      if (equals == flag.npos && i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(flag, ": expected a value after it"));
      }
      auto taken = TakeFlag(request, flag,
                            equals == flag.npos ? arguments[++i] : arguments[i].substr(equals + 1));
      if (!taken.ok()) return taken;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag ", arguments[i], "; the nearest known is ",
                       Nearest(flag, {"--nodes", "--cluster", "--json", "--watch"})));
    }
  }
  if (resumes && request.actor.find('/') == request.actor.npos) {
    return absl::InvalidArgumentError("resume: expected TYPE/KEY, as `troupe status` shows it");
  }
  return request;
}

NodeAnswer ReadAnswer(const Payload& payload) {
  capnp::FlatArrayMessageReader reader(payload.words());
  auto frame = reader.getRoot<wire::StatusFrame>();
  NodeAnswer answer;
  answer.node = frame.getNode().cStr();
  answer.notice = frame.getNotice().cStr();
  answer.coordinator = frame.getCoordinator().cStr();
  answer.map_version = frame.getMapVersion();
  answer.actors = frame.getActors();
  answer.stored_actors = frame.getStoredActors();
  answer.calls = frame.getCalls();
  answer.suspended = frame.getSuspended();
  for (auto actor : frame.getSuspendedActors()) answer.suspended_actors.push_back(actor.cStr());
  for (auto member : frame.getMembers()) {
    answer.members[member.getName().cStr()] = member.getState().cStr();
  }
  return answer;
}

kj::Promise<NodeAnswer> Ask(Client& client, const std::string& node) {
  return client.Status(node, kAnswerLimit)
      .then([node](Payload&& payload) {
        auto answer = ReadAnswer(payload);
        answer.node = node;
        return answer;
      })
      .catch_([node](kj::Exception&& e) {
        NodeAnswer answer;
        answer.node = node;
        answer.trouble = Words(e);
        return answer;
      });
}

// A client of the cluster that has its map. Throws when there is none.
struct Connection {
  explicit Connection(const ClientOptions& options)
      : machine(MakeMachine()), client(machine->control(), options) {
    client.Connected(kConnectLimit).wait(machine->wait_scope());
  }
  static kj::Own<UvMachine> MakeMachine() {
    SetStandardErrorLogLevel(LogLevel::kError);
    auto made = UvMachine::Create({.node = "troupe"});
    if (!made.ok()) throw Failed(std::string(made.status().message()));
    return kj::mv(*made);
  }
  kj::Own<UvMachine> machine;
  Client client;
};

StatusReport Collect(Client& client, kj::WaitScope& wait_scope) {
  kj::Vector<kj::Promise<NodeAnswer>> questions;
  for (const auto& node : client.map()->nodes) {
    if (node.state != NodeState::kLeft) questions.add(Ask(client, node.name));
  }
  auto all = kj::joinPromises(questions.releaseAsArray()).wait(wait_scope);
  return MakeStatusReport(*client.map(), {all.begin(), all.end()});
}

int ShowStatus(const StatusRequest& request) {
  Connection connection(request.client);
  auto& wait_scope = connection.machine->wait_scope();
  Client& client = connection.client;
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const Paint paint =
      terminal && std::getenv("NO_COLOR") == nullptr ? Paint::kColours : Paint::kPlain;
  while (true) {
    auto report = Collect(client, wait_scope);
    const std::string text = request.json ? ToJson(report) : ToTable(report, paint);
    const bool clear = request.watch && terminal && !request.json;
    std::cout << (clear ? "\x1b[H\x1b[2J" : "") << text
              << (request.watch && !clear && !request.json ? "\n" : "") << std::flush;
    if (!request.watch || !std::cout) return 0;
    connection.machine->control().timer().afterDelay(kWatchPause).wait(wait_scope);
  }
}

// The type's id, as the map has it.
uint64_t TypeNamed(const ClusterState& map, const std::string& name) {
  const HostedType* named = nullptr;
  for (const HostedType& type : map.types) {
    if (type.name != name) continue;
    if (named != nullptr) {
      throw Failed(
          absl::StrCat("two types are named ", name, ": their actors are not resumed by name"));
    }
    named = &type;
  }
  if (named != nullptr) return named->id;
  throw Failed(
      absl::StrCat("no node hosts actors of type ", name, "; hosted are: ", ListTypes(map.types)));
}

int ResumeActor(const StatusRequest& request) {
  Connection connection(request.client);
  auto& wait_scope = connection.machine->wait_scope();
  Client& client = connection.client;
  const size_t slash = request.actor.find('/');
  const uint64_t type = TypeNamed(*client.map(), request.actor.substr(0, slash));
  client.Unsuspend({type, request.actor.substr(slash + 1)}, kResumeLimit).wait(wait_scope);
  std::cout << request.actor << " is tried again with its next call, timer or reminder"
            << std::endl;
  return 0;
}

int Run(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments.front();
  if (command == "help" || command == "--help" || command == "-h") {
    std::cout << Usage();
    return 0;
  }
  const bool operates = command == "recover" || command == "declare-lost";
  if (command != "status" && command != "resume" && !operates) {
    if (!command.empty()) std::cerr << "troupe: no command \"" << command << "\"\n";
    std::cerr << Usage();
    return 2;
  }
  auto is_help = [](const std::string& word) { return word == "--help" || word == "-h"; };
  if (std::any_of(arguments.begin(), arguments.end(), is_help)) {
    std::cout << Usage();
    return 0;
  }
  if (operates) {
    auto request = ReadOperatorCommand(command, {arguments.begin() + 1, arguments.end()});
    if (request.ok()) return RunOperatorCommand(*request);
    std::cerr << "troupe: " << request.status().message() << std::endl;
    return 2;
  }
  auto request = ReadArguments(command, {arguments.begin() + 1, arguments.end()});
  if (!request.ok()) {
    std::cerr << "troupe: " << request.status().message() << std::endl;
    return 2;
  }
  return command == "resume" ? ResumeActor(*request) : ShowStatus(*request);
}

}  // namespace
}  // namespace troupe

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // A node that is gone is an error of a write, not our end.
  try {
    return troupe::Run({argv + std::min(argc, 1), argv + argc});
  } catch (const kj::Exception& e) {
    std::cerr << "troupe: " << troupe::Words(e) << std::endl;
    return 1;
  }
}
