// troupe-chaos: real node processes under faults, and whether what clients saw can be true.
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "chaos_run.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe::chaos {
namespace {

constexpr char kUsage[] = R"(usage: ./dev chaos [OPTION...]

  --minutes M      how long faults go on [10]
  --seed N         of the faults and the calls [the time]; when what happens is not in it
  --nodes N        node processes, 3 to 9 [5]
  --faults LIST    of these, separated by commas [all]
  --at-once N      nodes harmed at a time [1]; beyond 1 answered writes may be lost
  --soak           the first node is never harmed itself, and its memory is not to grow
  --loopback       no namespaces, but a proxy on 127.0.0.0/8
  --history FILE   every call and what became of it, as JSON lines
  --json           a last line with the findings

Exit code: 0 when all is well, 1 when something was found, 2 for a wrong command line. When
something was found, the logs of the nodes and the history are kept, and it is said where.

Faults:
)";

struct Command {
  ChaosOptions options;
  GroundKind ground = GroundKind::kNamespaces;
  std::string history_file;
  bool json = false;
};

[[noreturn]] void Refuse(const std::string& complaint) {
  std::fprintf(stderr, "chaos: %s\n", complaint.c_str());
  std::exit(2);
}

[[noreturn]] void Help() {
  std::fputs(kUsage, stdout);
  for (const auto& kind : FaultKinds()) std::printf("  %-12s %s\n", kind.name, kind.help);
  std::exit(0);
}

double Number(const std::string& flag, const std::string& text, double least, double most) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= least && value <= most)) {
    Refuse(absl::StrCat(flag, ": expected a number from ", least, " to ", most, ", got \"", text,
                        "\""));
  }
  return value;
}

Command Parse(const std::vector<std::string>& arguments) {
  Command out;
  out.options.seed = static_cast<uint64_t>(time(nullptr));
  std::vector<std::string> kinds;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& flag = arguments[i];
    auto value = [&]() -> const std::string& {
      if (i + 1 == arguments.size()) Refuse(absl::StrCat(flag, ": expected a value after it"));
      return arguments[++i];
    };
    if (flag == "--minutes") {
      out.options.length = absl::Minutes(Number(flag, value(), 0.1, 100'000));
    } else if (flag == "--seed") {
      out.options.seed = static_cast<uint64_t>(Number(flag, value(), 0, 9e15));
    } else if (flag == "--nodes") {
      out.options.nodes = static_cast<size_t>(Number(flag, value(), 3, 9));
    } else if (flag == "--at-once") {
      out.options.at_once = static_cast<size_t>(Number(flag, value(), 1, 9));
    } else if (flag == "--faults") {
      kinds = absl::StrSplit(value(), ',');
    } else if (flag == "--history") {
      out.history_file = value();
    } else if (flag == "--soak") {
      out.options.soak = true;
      out.options.memory_max = 1536u << 20;  // A sanitizer may be with it.
    } else if (flag == "--loopback") {
      out.ground = GroundKind::kLoopback;
    } else if (flag == "--json") {
      out.json = true;
    } else if (flag == "--help" || flag == "-h") {
      Help();
    } else {
      Refuse(absl::StrCat("there is no option \"", flag, "\"; --help tells more"));
    }
  }
  auto known = FaultDeck::Kinds(kinds);
  if (!known.ok()) Refuse(absl::StrCat("--faults: ", std::string(known.status().message())));
  out.options.kinds = *std::move(known);
  return out;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "\"";
}

std::string Json(const Command& command, const Ground& ground, const ChaosRun& run) {
  const auto& found = run.findings();
  const auto& workload = run.workload();
  std::vector<std::string> faults, violations;
  for (const auto& fault : found.faults) {
    faults.push_back(absl::StrFormat(
        "{\"at\":%.1f,\"fault\":%s,\"what\":%s,\"seconds\":%.1f,\"healthy_after\":%.1f}",
        fault.at_seconds, Quoted(fault.kind), Quoted(fault.what), fault.length_seconds,
        fault.healthy_after_seconds));
  }
  for (const auto& violation : found.violations) violations.push_back(Quoted(violation));
  auto word = [](bool value) { return value ? "true" : "false"; };
  return absl::StrCat(
      absl::StrCat(
          "{\"seed\":", command.options.seed, ",\"nodes\":", command.options.nodes,
          ",\"ground\":\"", ground.kind() == GroundKind::kNamespaces ? "namespaces" : "loopback",
          "\",\"seconds\":", static_cast<int64_t>(found.seconds),
          ",\"operations\":", workload.history().size(), ",\"answered\":", workload.answered(),
          ",\"refused\":", workload.refused(), ",\"unknown\":", workload.unknown()),
      absl::StrCat(",\"faults\":[", absl::StrJoin(faults, ","), "],\"linearizable\":",
                   word(found.linearizable), ",\"healthy\":", word(found.healthy),
                   ",\"lost\":", found.lost, ",\"doubled\":", found.doubled,
                   ",\"memory_mib\":", found.memory_bytes >> 20, ",\"growth\":", found.growth,
                   ",\"violations\":[", absl::StrJoin(violations, ","), "]}"));
}

void WriteHistory(const std::string& path, const ChaosRun& run) {
  std::ofstream file(path, std::ios::binary);
  file << run.workload().history().ToJsonLines();
  if (!file.flush()) std::fprintf(stderr, "chaos: cannot write %s\n", path.c_str());
}

void TellGround(Command& command, const Ground& ground) {
  auto& options = command.options;
  std::printf("chaos: seed %lu, %zu nodes, %s\n", options.seed, options.nodes,
              ground.kind() == GroundKind::kNamespaces
                  ? "each in a network namespace of its own, on a switch in user space"
                  : "on loopback");
  if (!ground.complaint().empty()) {
    std::printf("chaos: WARNING: not the real thing: %s\n", ground.complaint().c_str());
  }
  if (ground.kind() == GroundKind::kLoopback) {
    std::printf(
        "chaos: WARNING: a proxy stands in for the network: no frames, but streams and datagrams "
        "are delayed, held up and cut; nobody is seen to refuse\n");
  }
  if (!ground.has_small_disks() && std::erase(options.kinds, "disk-full") > 0) {
    std::printf("chaos: WARNING: no fault disk-full: it needs a tmpfs of its own\n");
  }
  if (options.kinds.empty()) Refuse("no fault is possible here");
}

int Summarise(const Command& command, Ground& ground, const ChaosRun& run) {
  const auto& found = run.findings();
  const auto& workload = run.workload();
  const bool well = found.violations.empty();
  std::printf("\n%zu faults; %zu calls: %lu answered, %lu refused, %lu unknown\n",
              found.faults.size(), workload.history().size(), workload.answered(),
              workload.refused(), workload.unknown());
  std::printf("linearizable: %s; healthy after every fault: %s; most memory of a node: %zu MiB\n",
              found.linearizable ? "yes" : "NO", found.healthy ? "yes" : "NO",
              found.memory_bytes >> 20);
  for (const auto& violation : found.violations) std::printf("VIOLATION: %s\n", violation.c_str());
  if (!well) {
    ground.directory().Keep();
    WriteHistory(ground.directory().path() + "/history.jsonl", run);
    std::printf("kept: %s (logs, history.jsonl); the same faults again: ./dev chaos --seed %lu\n",
                ground.directory().path().c_str(), command.options.seed);
  } else {
    std::printf("all is well\n");
  }
  if (!command.history_file.empty()) WriteHistory(command.history_file, run);
  if (command.json) std::printf("%s\n", Json(command, ground, run).c_str());
  return well ? 0 : 1;
}

int Run(Command command) {
  Ground ground(command.ground, command.options.nodes, command.options.seed);
  TellGround(command, ground);
  auto machine = UvMachine::Create({.node = "chaos"});
  if (!machine.ok()) Refuse(std::string(machine.status().message()));
  auto& scope = (*machine)->wait_scope();
  auto told = (*machine)->OnSignal({SIGINT, SIGTERM});
  ChaosRun run((*machine)->control(), ground, command.options);
  int interrupted = 0;
  try {
    auto running = run.Run().AsPromise().exclusiveJoin(told.then([&](int n) { interrupted = n; }));
    running.wait(scope);
  } catch (const kj::Exception& e) {
    ground.directory().Keep();
    std::fprintf(stderr, "chaos: %s; the logs of the nodes are in %s\n", Words(e).c_str(),
                 ground.directory().path().c_str());
    return 1;
  }
  if (interrupted != 0) {
    std::fprintf(stderr, "chaos: told to end; what it had made is gone\n");
    return 128 + interrupted;
  }
  return Summarise(command, ground, run);
}

}  // namespace
}  // namespace troupe::chaos

int main(int argc, char** argv) {
  using namespace troupe;
  signal(SIGPIPE, SIG_IGN);
  SetStandardErrorLogLevel(LogLevel::kError);
  auto command = chaos::Parse({argv + 1, argv + argc});
  command.options.binary =
      (std::filesystem::canonical("/proc/self/exe").parent_path() / "troupe-chaos-node").string();
  try {
    return chaos::Run(std::move(command));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "chaos: %s\n", e.what());
    return 1;
  }
}
