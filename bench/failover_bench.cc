#include "failover_bench.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "figures.h"
#include "kill_run.h"
#include "kj/debug.h"
#include "network_lab.h"
#include "troupe/runtime/random.h"
#include "troupe/runtime/uv_machine.h"

namespace {

constexpr int kNodes = 3;
constexpr size_t kInFlight = 256;
constexpr int kWords = 2000;  // Actors.
constexpr int kQuickKills = 5;
constexpr int kPort = 7100;  // In a namespace of its own nobody else has it.
constexpr double kLongestP99Ms = 500;

std::vector<std::string> Words() {
  std::vector<std::string> out;
  for (int i = 0; i < kWords; ++i) out.push_back(absl::StrCat("word", i));
  return out;
}

class FailoverBench {
 public:
  FailoverBench(const BenchSettings& settings, Report& report)
      : settings_(settings), report_(report), words_(Words()), random_(settings.seed) {}

  // `where` is part of the names; `p50_ms` the target.
  void Run(const std::string& where, std::vector<NodePlace> places,
           std::vector<std::string> arguments, double p50_ms) {
    auto machine = troupe::UvMachine::Create({.node = "bench"});
    KJ_REQUIRE(machine.ok(), machine.status().ToString().c_str());
    auto& scope = (*machine)->wait_scope();
    ClusterProcesses cluster({.binary = settings_.programs + "/troupe-wordcount",
                              .directory = settings_.directory,
                              .places = std::move(places),
                              .arguments = std::move(arguments)});
    KillRun run((*machine)->control(), cluster, words_, kInFlight, [](const std::string&) {});
    run.Found().Wait(scope);
    run.load().Start();
    auto kills = KillAll(run, cluster).Wait(scope);
    run.load().StopAfterPass();
    run.load().Done().wait(scope);
    std::map<std::string, uint64_t> expected;
    for (const auto& word : words_) expected[word] += run.load().passes();
    const auto tally = run.Compare(std::move(expected)).Wait(scope);
    Tell(where, kills, tally, run.load(), p50_ms);
  }

 private:
  troupe::Task<std::vector<KillReport>> KillAll(KillRun& run, ClusterProcesses& cluster) {
    std::vector<KillReport> kills;
    const int count = settings_.length == Length::kQuick ? std::min(kQuickKills, settings_.kills)
                                                         : settings_.kills;
    for (int i = 0; i < count; ++i) {
      auto calm = run.Sleep(absl::Milliseconds(300 + static_cast<int64_t>(random_.Below(600))));
      co_await calm;
      auto killed = run.Kill(random_.Below(cluster.nodes().size()));
      kills.push_back(co_await killed);
    }
    co_return kills;
  }

  void Tell(const std::string& where, const std::vector<KillReport>& kills, const KillTally& tally,
            const Load& load, double p50_ms) {
    std::vector<double> gaps, redundant;
    size_t coordinators = 0;
    for (const auto& kill : kills) {
      gaps.push_back(kill.gap_ms);
      redundant.push_back(kill.redundant_ms);
      coordinators += kill.coordinator;
    }
    const auto worst =
        std::max_element(kills.begin(), kills.end(),
                         [](const auto& a, const auto& b) { return a.gap_ms < b.gap_ms; });
    const std::string name = absl::StrCat("failover/", where);
    const double answered = static_cast<double>(load.answered());
    report_.Add(
        {name + "/gap_p50", Median(gaps), "ms", p50_ms,
         absl::StrFormat("%d kills, %d of them of the coordinator", gaps.size(), coordinators)});
    report_.Add({name + "/gap_p99", Quantile(gaps, 0.99), "ms", kLongestP99Ms,
                 absl::StrFormat("least %.1f, most %.1f (kill %d, %s%s)", Least(gaps), Most(gaps),
                                 worst - kills.begin() + 1, worst->node,
                                 worst->coordinator ? ", the coordinator" : "")});
    report_.Add(
        {name + "/redundant_again", Median(redundant), "ms", std::nullopt, Spread(redundant)});
    report_.Add({name + "/failed_calls", static_cast<double>(load.errors()), "calls", 0.0,
                 absl::StrFormat("%.0f answered %s", answered, load.last_error())});
    report_.Add({name + "/lost", static_cast<double>(tally.lost), "calls", 0.0, ""});
    report_.Add({name + "/doubled", static_cast<double>(tally.doubled), "calls", 0.0, ""});
  }

  const BenchSettings& settings_;
  Report& report_;
  const std::vector<std::string> words_;
  troupe::Random random_;
};

}  // namespace

void RunFailoverBench(const BenchSettings& settings, Report& report) {
  FailoverBench bench(settings, report);
  report.Begin(absl::StrFormat(
      "failover, one host: kill -9 of random nodes of %d under %d open calls to %d actors, default "
      "settings; gap: the longest that a call open at the kill or begun later waited",
      kNodes, kInFlight, kWords));
  bench.Run("one_host", ClusterProcesses::OnLoopback(kNodes), {}, 50);

  auto lab = NetworkLab::Make(kNodes + 1);
  if (!lab.ok()) {
    return report.Begin(absl::StrCat("failover, a network namespace each: skipped: ",
                                     std::string(lab.status().message())));
  }
  report.Begin(
      "failover, each node and the client in a network namespace of its own: no proof of "
      "death from the same host");
  std::vector<NodePlace> places;
  for (size_t i = 0; i < kNodes; ++i) {
    places.push_back({.address = absl::StrCat(NetworkLab::AddressOf(i), ":", kPort),
                      .network_namespace = (*lab)->descriptor(i)});
  }
  const InNamespace inside((*lab)->descriptor(kNodes));
  bench.Run("namespaces", std::move(places), {"--insecure"}, 300);
}
