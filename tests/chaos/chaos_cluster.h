// ChaosCluster: the node processes of a run, what can be done to them, and how they are.
//
// Threads: the loop of its Host.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster_processes.h"
#include "coverage.h"
#include "ground.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/task.h"

namespace troupe::chaos {

class ChaosCluster {
 public:
  // Both outlive it. `binary` is run with the settings of troupe::Main.
  ChaosCluster(Host& host, Ground& ground, std::string binary);
  ~ChaosCluster();
  KJ_DISALLOW_COPY(ChaosCluster);

  size_t size() const { return processes_->nodes().size(); }
  const std::string& name(size_t node) const { return processes_->nodes()[node].name; }
  pid_t pid(size_t node) const { return processes_->nodes()[node].pid; }
  bool running(size_t node) const { return pid(node) != 0; }
  std::vector<std::string> addresses() const { return processes_->addresses(); }
  Ground& ground() { return ground_; }

  void Start(size_t node);
  void Kill(size_t node);
  void Signal(size_t node, int signal);
  // It can open no further file or connection until RestoreFiles().
  void ExhaustFiles(size_t node);
  void RestoreFiles(size_t node);

  // Ends that nobody asked for, and what logs say of programs that broke; each once.
  std::vector<std::string> NewTroubles();
  // While set, a node may end by itself with an error (its disk is full), and is started again by
  // Start(). What it ended with is in the log.
  void AllowEnd(size_t node, bool allowed) { may_end_[node] = allowed; }

  // Empty: all run, are ready and see each other alive, and every shard has all its copies.
  Task<std::string> Trouble();
  // Resolves to "" as soon as that is so, or to the last trouble after `limit`.
  Task<std::string> Healthy(absl::Duration limit);
  // SIGTERM to all; what was not an end in order within `limit`.
  Task<std::vector<std::string>> Stop(absl::Duration limit);

  // Resident memory, bytes; 0 if it does not run.
  size_t MemoryOf(size_t node) const;

 private:
  bool Ready(size_t node) const;
  std::string ShardTrouble() const;
  std::string LogTrouble(size_t node);

  Host& host_;
  Ground& ground_;
  std::unique_ptr<ClusterProcesses> processes_;
  std::unique_ptr<Client> watcher_;
  std::vector<size_t> log_begin_;  // Of the present run, by node: bytes.
  std::vector<size_t> log_seen_;
  std::vector<bool> may_end_;
};

}  // namespace troupe::chaos
