// ChaosRun: one run: a cluster, its clients, fault after fault, and what is found at the end.
//
// Threads: the loop of its Host. Errors are findings, not exceptions, once the cluster is founded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "chaos_cluster.h"
#include "faults.h"
#include "ground.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/task.h"
#include "workload.h"

namespace troupe::chaos {

struct ChaosOptions {
  uint64_t seed = 0;
  absl::Duration length = absl::Minutes(10);
  size_t nodes = 5;
  size_t at_once = 1;              // Nodes harmed at a time.
  std::vector<std::string> kinds;  // Of faults.
  std::string binary;
  // One node is never killed, and its memory is not to grow once it is warm.
  bool soak = false;
  size_t memory_max = 512u << 20;  // Of each node, resident bytes.
  absl::Duration health_limit = absl::Seconds(90);
};

// A fault as it happened.
struct FaultReport {
  double at_seconds = 0;
  std::string kind, what;
  double length_seconds = 0;
  double healthy_after_seconds = 0;  // From its end; negative: not within the limit.
};

struct ChaosFindings {
  std::vector<FaultReport> faults;
  std::vector<std::string> violations;  // Empty: all is well.
  bool linearizable = false;
  bool healthy = false;     // After every fault, and at the end.
  uint64_t lost = 0;        // Of counters: answered and not there.
  uint64_t doubled = 0;     // There and never asked for.
  size_t memory_bytes = 0;  // The most that any node had.
  double growth = 0;        // Of the spared node: its last memory to that when warm.
  double seconds = 0;
};

class ChaosRun {
 public:
  // Both outlive it.
  ChaosRun(Host& host, Ground& ground, ChaosOptions options);

  Task<void> Run();

  const ChaosFindings& findings() const { return findings_; }
  const Workload& workload() const { return workload_; }

 private:
  Task<void> Found();
  Task<void> Suffer();
  Task<void> Check();
  Task<void> Watch();  // Looks for troubles every second, for ever.
  Task<void> Sleep(absl::Duration duration);
  void LookForTroubles();
  void JudgeHistory();
  void JudgeGrowth();
  void CompareCounters();
  void Say(const std::string& text) const;
  void Violation(const std::string& text);
  double Seconds() const;

  Host& host_;
  Ground& ground_;
  const ChaosOptions options_;
  const absl::Time began_;
  ChaosCluster cluster_;
  Workload workload_;
  FaultDeck deck_;
  Random random_;
  ChaosFindings findings_;
  std::vector<size_t> spared_memory_;  // Of the node that is never killed, each second.
};

}  // namespace troupe::chaos
