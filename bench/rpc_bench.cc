#include "rpc_bench.h"

#include <map>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster_processes.h"
#include "figures.h"
#include "peers/echo_peer.h"
#include "server_process.h"
#include "troupe/rpc/status.h"

namespace {

constexpr int kRounds = 11;
constexpr double kRoundSeconds = 0.25;
constexpr int kQuickRounds = 3;
constexpr double kQuickSeconds = 0.1;

struct Contender {
  std::string name;
  std::unique_ptr<EchoPeer> peer;
};

// Each measurement gets a fresh thread, because event loops belong to threads.
double MeasureOnThread(EchoPeer& peer, const EchoShape& shape, double seconds, int cpu) {
  double result = 0;
  std::string failure;  // As text: a kj::Exception belongs to its thread.
  std::thread([&] {
    PinTo(cpu);
    try {
      result = peer.Measure(shape, seconds);
    } catch (const kj::Exception& e) {
      failure = troupe::Words(e);
    } catch (const std::exception& e) {
      failure = e.what();
    }
  }).join();
  if (!failure.empty()) {
    throw std::runtime_error(absl::StrCat("rpc/", shape.name, ": ", failure));
  }
  return result;
}

std::vector<EchoShape> Shapes() {
  return {{"16B/sequential", 16, 1},
          {"1KiB/sequential", 1024, 1},
          {"16B/256", 16, 256},
          {"1KiB/256", 1024, 256}};
}

using Times = std::map<std::string, std::vector<double>>;  // By contender: us per call.

void Compare(const EchoShape& shape, const Times& times, Report& report) {
  const std::string name = absl::StrCat("rpc/", shape.name);
  for (const auto& [contender, values] : times) {
    report.Add({absl::StrCat(name, "/", contender), Median(values), "us/call", std::nullopt,
                Spread(values)});
  }
  const auto& ours = times.at("troupe");
  auto ratio = [&](const std::string& other, std::optional<double> target) {
    const auto& theirs = times.at(other);
    report.Add({absl::StrCat(name, "/troupe_over_", other), Median(ours) / Median(theirs), "x",
                target,
                absl::StrFormat("of medians; of minima %.2f", Least(ours) / Least(theirs))});
  };
  ratio("capnp", 1.0);
  ratio("libuv", std::nullopt);
}

}  // namespace

void RunRpcBench(const BenchSettings& settings, Report& report) {
  const auto cpus = Processors();
  // A process on each side of a wake-up between processors, as peers are mostly measured.
  const int server_cpu = cpus.size() > 1 ? cpus[1] : -1;
  const int client_cpu = cpus.size() > 1 ? cpus[0] : -1;
  const bool quick = settings.length == Length::kQuick;
  const int rounds = quick ? kQuickRounds : kRounds;
  const double seconds = quick ? kQuickSeconds : kRoundSeconds;
  report.Begin(absl::StrFormat(
      "rpc: echo calls between two processes%s, one connection, 1 worker; median [least..most] of "
      "%d interleaved rounds of %g s",
      server_cpu >= 0 ? " on a processor each" : "", rounds, seconds));

  const std::string peer_binary = settings.programs + "/troupe-bench-peer";
  ServerProcess capnp(peer_binary, "capnp", server_cpu);
  ServerProcess libuv(peer_binary, "libuv", server_cpu);
  auto places = ClusterProcesses::OnLoopback(1);
  places.front().cpu = server_cpu;
  ClusterProcesses node({.binary = settings.programs + "/troupe-bench-node",
                         .directory = settings.directory,
                         .places = std::move(places),
                         .arguments = {"--workers", "1"}});
  node.StartAll();
  const std::string address = node.addresses().front();
  std::vector<Contender> contenders;
  contenders.push_back({"troupe", TroupeEcho(address, TroupeMethod::kReadOnly)});
  contenders.push_back({"capnp", CapnpEcho(capnp.port())});
  contenders.push_back({"libuv", LibuvEcho(libuv.port())});
  contenders.push_back({"troupe_mutating", TroupeEcho(address, TroupeMethod::kMutating)});

  std::map<std::string, Times> times;  // By shape.
  for (int round = 0; round < rounds; ++round) {
    for (const auto& shape : Shapes()) {
      for (auto& contender : contenders) {
        times[shape.name][contender.name].push_back(
            MeasureOnThread(*contender.peer, shape, seconds, client_cpu));
      }
    }
  }
  for (const auto& shape : Shapes()) Compare(shape, times[shape.name], report);
}
