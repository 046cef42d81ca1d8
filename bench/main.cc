// bench: what `./dev bench` measures, each figure as a ratio or a bound that a faster or slower
// machine does not change.
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "failover_bench.h"
#include "kj/exception.h"
#include "memory_bench.h"
#include "replicated_bench.h"
#include "report.h"
#include "rpc_bench.h"
#include "settings.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/log.h"

namespace {

constexpr char kUsage[] =
    "usage: bench [NAME...] [--json] [--quick] [--kills N] [--seed N]\n"
    "Measures, prints a table, and exits with 1 if a target was missed. NAME is one of\n"
    "  rpc         calls between two processes, beside plain Cap'n Proto and a raw echo\n"
    "  replicated  calls that change an actor on three nodes, in round trips\n"
    "  failover    kills of nodes under load: how long callers wait\n"
    "  memory      bytes of an actor that is active, idle, and reminded\n"
    "Without a name all are run.\n"
    "  --json      the last line is one JSON object\n"
    "  --quick     a few short rounds: to see that it works, not for figures\n"
    "  --kills N   of the failover benchmark (default 50)\n"
    "  --seed N    chooses whom to kill, and when (default: from the clock)\n";

struct Benchmark {
  const char* name;
  void (*run)(const BenchSettings&, Report&);
};
constexpr Benchmark kBenchmarks[] = {{"rpc", RunRpcBench},
                                     {"replicated", RunReplicatedBench},
                                     {"failover", RunFailoverBench},
                                     {"memory", RunMemoryBench}};

struct Command {
  BenchSettings settings;
  bool json = false;
  std::vector<const Benchmark*> chosen;
};

[[noreturn]] void Refuse(const std::string& complaint) {
  std::fprintf(stderr, "bench: %s\n%s", complaint.c_str(), kUsage);
  std::exit(2);
}

uint64_t Number(const std::string& flag, const char* text, uint64_t least) {
  uint64_t value = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &value) || value < least ||
      value > 1'000'000'000) {
    Refuse(absl::StrCat(flag, " wants a whole number from ", least, ", not \"",
                        text == nullptr ? "" : text, "\""));
  }
  return value;
}

Command Parse(int argc, char** argv) {
  Command out;
  out.settings.seed = static_cast<uint64_t>(time(nullptr));
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--json") {
      out.json = true;
    } else if (arg == "--quick") {
      out.settings.length = Length::kQuick;
    } else if (arg == "--kills") {
      out.settings.kills = static_cast<int>(Number(arg, argv[++i], 1));
    } else if (arg == "--seed") {
      out.settings.seed = Number(arg, argv[++i], 0);
    } else if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    } else {
      const Benchmark* found = nullptr;
      for (const auto& benchmark : kBenchmarks) {
        if (arg == benchmark.name) found = &benchmark;
      }
      if (found == nullptr) Refuse(absl::StrCat("there is no benchmark or option \"", arg, "\""));
      out.chosen.push_back(found);
    }
  }
  if (out.chosen.empty()) {
    for (const auto& benchmark : kBenchmarks) out.chosen.push_back(&benchmark);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  auto command = Parse(argc, argv);
  command.settings.programs = std::filesystem::canonical("/proc/self/exe").parent_path().string();
  signal(SIGPIPE, SIG_IGN);
  troupe::SetStandardErrorLogLevel(troupe::LogLevel::kError);
  char directory[] = "/tmp/troupe-bench-XXXXXX";
  if (mkdtemp(directory) == nullptr) Refuse("cannot make a directory in /tmp for the logs");
  command.settings.directory = directory;
  Report report;
  std::string failure;
  try {
    for (const auto* benchmark : command.chosen) benchmark->run(command.settings, report);
  } catch (const kj::Exception& e) {
    failure = troupe::Words(e);
  } catch (const std::exception& e) {
    failure = e.what();
  }
  if (!failure.empty()) {
    std::fprintf(stderr, "bench: %s; the logs of the nodes are in %s\n", failure.c_str(),
                 directory);
    return 1;
  }
  std::filesystem::remove_all(directory);
  std::printf("\n%s\n", report.all_met() ? "every target met" : "some targets were missed");
  if (command.json) std::printf("%s\n", report.Json().c_str());
  return report.all_met() ? 0 : 1;
}
