#include "operator_command.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "troupe/actors/setting_values.h"
#include "troupe/runtime/json_text.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

// A quorum that does not answer is waited for, then the survivors, or what a lone primary may
// still answer.
constexpr absl::Duration kLimit = absl::Seconds(20);
constexpr size_t kShownMax = 32;

std::string Shown(const std::vector<ShardId>& shards) {
  const size_t shown = std::min(shards.size(), kShownMax);
  const std::vector<ShardId> first(shards.begin(), shards.begin() + static_cast<ptrdiff_t>(shown));
  return absl::StrCat(absl::StrJoin(first, ", "), shown < shards.size() ? ", ..." : "");
}

absl::Status TakeAddresses(const std::string& flag, const std::string& value,
                           OperatorCommand& command) {
  command.nodes = absl::StrSplit(value, ',', absl::SkipEmpty());
  if (command.nodes.empty() || (flag == "--node" && command.nodes.size() != 1)) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": expected host:port"));
  }
  for (const auto& node : command.nodes) {
    if (!IsDialAddress(node)) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": expected host:port, got \"", node, "\""));
    }
  }
  if (flag == "--node") command.request.kind = OperatorRequest::Kind::kNewGeneration;
  return absl::OkStatus();
}

bool Confirmed(const OperatorCommand& command) {
  if (command.confirmed) return true;
  if (::isatty(STDIN_FILENO) != 1) {
    std::cerr << "troupe: " << Consequence(command.request) << "; add --yes if that is meant"
              << std::endl;
    return false;
  }
  std::cerr << Consequence(command.request) << ".\nType yes to go on: " << std::flush;
  std::string answer;
  return std::getline(std::cin, answer) && answer == "yes";
}

}  // namespace

const char* const kOperatorUsage =
    R"(  recover [SHARD...]        starts LOST shards (all, or those named) again: empty
  recover --node HOST:PORT  when a majority of the voters is lost for good: this node founds the
                            register's next generation from what the survivors know. Nodes that do
                            not answer it are put out, with their copies; make sure that they are
                            down. Refused while a quorum of the voters answers
  declare-lost SHARD...     gives up the copies of shards that wait without a primary; `recover`
                            then starts them again
      --nodes HOST:PORT,...   nodes to ask, one after the other [127.0.0.1:7100]
      --cluster NAME          the cluster's name [troupe]
      --yes                   do not ask whether that is meant
      --json                  one JSON object, on one line
)";

absl::StatusOr<OperatorCommand> ReadOperatorCommand(const std::string& name,
                                                    const std::vector<std::string>& arguments) {
  OperatorCommand command;
  const bool recover = name == "recover";
  command.request.kind =
      recover ? OperatorRequest::Kind::kRecoverShards : OperatorRequest::Kind::kDeclareLost;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, equals);
    const bool takes_value =
        flag == "--nodes" || flag == "--cluster" || (flag == "--node" && recover);
    if (takes_value) {
      if (equals == flag.npos && i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(flag, ": expected a value after it"));
      }
      const std::string value =
          equals == flag.npos ? arguments[++i] : arguments[i].substr(equals + 1);
      if (flag == "--cluster") {
        command.cluster_name = value;
      } else if (absl::Status taken = TakeAddresses(flag, value, command); !taken.ok()) {
        return taken;
      }
    } else if (arguments[i] == "--yes") {
      command.confirmed = true;
    } else if (arguments[i] == "--json") {
      command.json = true;
    } else if (ShardId shard = 0; absl::SimpleAtoi(arguments[i], &shard)) {
      command.request.shards.push_back(shard);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": expected a shard's number or a flag, got ", arguments[i]));
    }
  }
  const bool named = !command.request.shards.empty();
  if (!recover && !named) {
    return absl::InvalidArgumentError("declare-lost: expected the numbers of shards");
  }
  if (command.request.kind == OperatorRequest::Kind::kNewGeneration && named) {
    return absl::InvalidArgumentError("recover --node is about the register: name no shards");
  }
  return command;
}

std::string Consequence(const OperatorRequest& request) {
  switch (request.kind) {
    case OperatorRequest::Kind::kRecoverShards:
      return request.shards.empty()
                 ? std::string("all LOST shards start again, empty")
                 : absl::StrCat("shards ", Shown(request.shards), " start again, empty");
    case OperatorRequest::Kind::kDeclareLost:
      return absl::StrCat("all that shards ", Shown(request.shards), " hold is given up");
    case OperatorRequest::Kind::kNewGeneration:
      return "every node that does not answer is put out of the cluster, with all its copies; "
             "those nodes must be down";
  }
  return "";
}

std::string ToText(const OperatorRequest& request, const OperatorReply& reply) {
  if (!reply.status.ok()) return absl::StrCat(std::string(reply.status.message()), "\n");
  std::string out;
  if (request.kind == OperatorRequest::Kind::kNewGeneration) {
    absl::StrAppend(&out, "the register goes on in generation ", reply.generation);
    absl::StrAppend(&out, reply.shards.empty() ? "; no shard is lost" : "; LOST: shards ",
                    Shown(reply.shards));
  } else {
    absl::StrAppend(&out, reply.shards.size(), " shards ",
                    request.kind == OperatorRequest::Kind::kDeclareLost
                        ? "are LOST now, see `troupe recover`: "
                        : "start again, empty: ",
                    Shown(reply.shards));
  }
  return absl::StrCat(out, "; map version ", reply.version, "\n");
}

std::string ToJson(const OperatorReply& reply) {
  if (!reply.status.ok()) {
    const std::string why(reply.status.message());
    return absl::StrCat("{\"done\":false,\"reason\":", QuotedJson(why), "}\n");
  }
  return absl::StrCat("{\"done\":true,\"shards\":[", absl::StrJoin(reply.shards, ","),
                      "],\"version\":", reply.version, ",\"generation\":", reply.generation, "}\n");
}

int RunOperatorCommand(const OperatorCommand& command) {
  if (!Confirmed(command)) return 2;
  SetStandardErrorLogLevel(LogLevel::kError);
  auto machine = UvMachine::Create({.node = "troupe"});
  if (!machine.ok()) {
    std::cerr << "troupe: " << machine.status().message() << std::endl;
    return 1;
  }
  OperatorReply reply;
  for (const auto& node : command.nodes) {
    reply = AskNode((*machine)->control(), node, command.cluster_name, command.request, kLimit)
                .wait((*machine)->wait_scope());
    if (!absl::IsUnavailable(reply.status)) break;
  }
  if (command.json) {
    std::cout << ToJson(reply) << std::flush;
  } else if (reply.status.ok()) {
    std::cout << ToText(command.request, reply) << std::flush;
  } else {
    std::cerr << "troupe: " << ToText(command.request, reply) << std::flush;
  }
  return reply.status.ok() ? 0 : 1;
}

}  // namespace troupe
