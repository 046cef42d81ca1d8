#include "replicated_bench.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench.capnp.h"
#include "closed_loop.h"
#include "cluster_processes.h"
#include "coverage.h"
#include "figures.h"
#include "kj/debug.h"
#include "peers/typed_echo.h"
#include "server_process.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/client.h"
#include "troupe/actors/shard_of.h"
#include "troupe/runtime/uv_machine.h"

namespace {

constexpr int kNodes = 3;
constexpr int kRounds = 11;
constexpr double kRoundSeconds = 0.3;
constexpr int kQuickRounds = 3;
constexpr double kQuickSeconds = 0.1;
constexpr size_t kEchoBytes = 16;
constexpr size_t kWidths[] = {1, 64, 256};
constexpr absl::Duration kStartLimit = absl::Seconds(30);

// What the rounds gave for one number of callers.
struct Series {
  std::vector<double> echo_p50, echo_p99, add_p50, add_p99, adds_per_second;
};

// The first node leads; no message stays on one processor, as none stays on one computer.
std::vector<NodePlace> Places(std::vector<int> cpus) {
  auto places = ClusterProcesses::OnLoopback(kNodes);
  if (cpus.size() < 2) return places;
  places[0].cpu = cpus[1];
  cpus.erase(cpus.begin() + 1);
  std::rotate(cpus.begin(), cpus.begin() + 1, cpus.end());  // The client's own comes last.
  for (size_t i = 1; i < places.size(); ++i) places[i].cpu = cpus[(i - 1) % cpus.size()];
  return places;
}

// A key of which `node` is the primary.
template <typename Interface>
std::string KeyAt(const std::string& node, const troupe::ClusterState& map) {
  constexpr int kTries = 100000;
  for (int i = 0; i < kTries; ++i) {
    const std::string key = absl::StrCat("key", i);
    const auto shard = troupe::ShardOf({capnp::typeId<Interface>(), key}, map);
    const auto* primary = map.FindBoot(map.shards[shard].primary);
    if (primary != nullptr && primary->name == node) return key;
  }
  KJ_FAIL_REQUIRE("node leads no shard", node.c_str());
}

class ReplicatedBench {
 public:
  ReplicatedBench(const BenchSettings& settings, Report& report)
      : settings_(settings),
        report_(report),
        cluster_({.binary = settings.programs + "/troupe-bench-node",
                  .directory = settings.directory,
                  .places = Places(Processors()),
                  .arguments = {"--workers", "1"}}) {}

  void Run() {
    const bool quick = settings_.length == Length::kQuick;
    const int rounds = quick ? kQuickRounds : kRounds;
    const double seconds = quick ? kQuickSeconds : kRoundSeconds;
    Explain(rounds, seconds);
    const auto cpus = Processors();
    const Pinned pinned(cpus.size() > 1 ? cpus[0] : -1);
    auto machine = troupe::UvMachine::Create({.node = "bench"});
    KJ_REQUIRE(machine.ok(), machine.status().ToString().c_str());
    scope_ = &(*machine)->wait_scope();
    cluster_.StartAll();
    troupe::Client client((*machine)->control(), {.nodes = cluster_.addresses(), .name = "bench"});
    WaitUntilComplete((*machine)->control(), client);
    const std::string& leader = cluster_.nodes().front().name;
    auto echo = client.Get<Echo>(KeyAt<Echo>(leader, *client.map()));
    auto counter = client.Get<Counter>(KeyAt<Counter>(leader, *client.map()));
    for (size_t width : kWidths) Measure(echo, counter, width, kQuickSeconds);
    series_.clear();  // That was to warm up.
    for (int round = 0; round < rounds; ++round) {
      for (size_t width : kWidths) Measure(echo, counter, width, seconds);
    }
    auto count = counter.valueRequest().send().wait(*scope_).getValue();
    KJ_REQUIRE(count == added_, "the counter is not what was added", count, added_);
    for (size_t width : kWidths) Compare(width);
  }

 private:
  void Explain(int rounds, double seconds) {
    report_.Begin(absl::StrFormat(
        "replicated: one counter actor on %d node processes, 1 worker each; %d interleaved rounds "
        "of %g s",
        kNodes, rounds, seconds));
    report_.Say(
        "Client and primary are on a processor each, the backups not on the primary's: every");
    report_.Say("  message goes from one processor to another, as it would between computers.");
    report_.Say(
        "Latency is that of one call in a closed loop of N callers, each with one call open.");
    report_.Say("round_trips: p50 of an add over twice the p50 of a 16 B echo (read-only, not");
    report_.Say("  replicated) on the same node, made by as many callers in the same round: like");
    report_.Say("  with like, the queue for the one actor included on both sides.");
    report_.Say(
        "sequential_round_trips: the same over twice the echo of a single caller. With many");
    report_.Say(
        "  callers this counts the wait in the queue of the one actor, which one call a time");
    report_.Say("  serves; adds of a loop turn share one batch to the backups.");
  }

  void WaitUntilComplete(troupe::Host& host, troupe::Client& client) {
    client.Connected(kStartLimit).wait(*scope_);
    const absl::Time deadline = host.clock().Now() + kStartLimit;
    for (;;) {
      const auto cover = Cover(*client.map());
      if (cover.full() && cover.up == kNodes) return;
      KJ_REQUIRE(host.clock().Now() < deadline, "the cluster did not become complete in time");
      host.timer().afterDelay(5 * kj::MILLISECONDS).wait(*scope_);
    }
  }

  void Measure(Echo::Client& echo, Counter::Client& counter, size_t width, double seconds) {
    auto call_echo = [&echo](uint64_t sequence) {
      return CallEcho(echo.echoRequest(EchoSize(kEchoBytes)), sequence, kEchoBytes);
    };
    auto add = [this, &counter](uint64_t) {
      ++added_;
      auto request = counter.addRequest();
      request.setBy(1);
      return request.send().ignoreResult();
    };
    auto& series = series_[width];
    auto echoed = ClosedLoop(call_echo, width, Latencies::kKeep).Run(*scope_, seconds);
    series.echo_p50.push_back(Quantile(echoed.latencies_us, 0.5));
    series.echo_p99.push_back(Quantile(echoed.latencies_us, 0.99));
    auto added = ClosedLoop(add, width, Latencies::kKeep).Run(*scope_, seconds);
    series.add_p50.push_back(Quantile(added.latencies_us, 0.5));
    series.add_p99.push_back(Quantile(added.latencies_us, 0.99));
    series.adds_per_second.push_back(static_cast<double>(added.calls) / added.seconds);
  }

  void Compare(size_t width) {
    const std::string name =
        absl::StrCat("replicated/", width, width == 1 ? "_caller" : "_callers");
    const auto& series = series_.at(width);
    auto say = [&](const std::string& what, const std::vector<double>& values,
                   const std::string& unit) {
      report_.Add(
          {absl::StrCat(name, "/", what), Median(values), unit, std::nullopt, Spread(values)});
    };
    say("echo_p50", series.echo_p50, "us");
    say("echo_p99", series.echo_p99, "us");
    say("add_p50", series.add_p50, "us");
    say("add_p99", series.add_p99, "us");
    say("adds", series.adds_per_second, "calls/s");
    const double p50 = Median(series.add_p50), p99 = Median(series.add_p99);
    const double trips = 2 * Median(series.echo_p50);
    const double alone = 2 * Median(series_.at(1).echo_p50);
    report_.Add(
        {name + "/round_trips", p50 / trips, "x two", 2.0,
         absl::StrFormat("p99 over two of p99: %.2f", p99 / (2 * Median(series.echo_p99)))});
    report_.Add({name + "/sequential_round_trips", p50 / alone, "x two", std::nullopt,
                 absl::StrFormat("p99: %.2f", p99 / alone)});
  }

  const BenchSettings& settings_;
  Report& report_;
  ClusterProcesses cluster_;
  kj::WaitScope* scope_ = nullptr;
  std::map<size_t, Series> series_;  // By number of callers.
  uint64_t added_ = 0;
};

}  // namespace

void RunReplicatedBench(const BenchSettings& settings, Report& report) {
  ReplicatedBench(settings, report).Run();
}
