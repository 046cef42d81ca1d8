// KillRun: a cluster of processes that counts words while its nodes are killed.
//
// What the demo shows and the failover benchmark measures. Threads: the loop of its Host. Errors:
// the tasks reject when the cluster does not get where it should in time; the text says where.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cluster_processes.h"
#include "coverage.h"
#include "load.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/task.h"

// One kill, as the callers met it.
struct KillReport {
  std::string node;
  bool coordinator = false;
  double gap_ms = 0;        // The longest that a call open at the kill, or begun later, waited.
  double redundant_ms = 0;  // Until every shard had all its copies again.
};

// Counts of the actors against what was answered.
struct KillTally {
  uint64_t lost = 0;
  uint64_t doubled = 0;
};

class KillRun {
 public:
  // All outlive it. `say` gets a line at each thing that happens.
  KillRun(troupe::Host& host, ClusterProcesses& cluster, const std::vector<std::string>& words,
          size_t in_flight, std::function<void(const std::string&)> say);

  // Starts the processes and waits until all are in the cluster; calls nobody yet.
  troupe::Task<void> Found();
  // Kills a node with SIGKILL, waits for full redundancy, starts it again and waits until it is in
  // sync. The load is to be running.
  troupe::Task<KillReport> Kill(size_t victim);
  // Reads the count of every word and compares it with `expected`.
  troupe::Task<KillTally> Compare(std::map<std::string, uint64_t> expected);

  troupe::Task<void> Sleep(absl::Duration duration);

  Load& load() { return *load_; }
  troupe::Client& client() { return *client_; }

 private:
  troupe::Task<void> WaitFor(std::string what, absl::Duration limit,
                             std::function<bool(const Coverage&)> done);
  troupe::Task<std::string> Coordinator();
  troupe::Task<uint64_t> CountOf(std::string word);

  troupe::Host& host_;
  ClusterProcesses& cluster_;
  const std::vector<std::string>& words_;
  const size_t in_flight_;
  const std::function<void(const std::string&)> say_;
  std::optional<troupe::Client> client_;
  std::optional<Load> load_;
};
