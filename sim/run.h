// Run: one seed of the simulator: a cluster, a workload, a storm of faults, healing, and the
// checks.
//
// Every second seed is a directed trial instead (trial.h). The others have Invariants and, within
// the fault budget, Ledgers, Diaries and Traders beside the workload. `./dev sim` runs all of this.
//
// Everything follows from the options, the seed first of all: equal options give equal results,
// with equal trace hashes, in any build. What must not be is a problem in words: a wrong answer, an
// invariant that does not hold, a history that is not linearizable, a cluster that does not serve
// again within a bound of virtual time after healing (said with who waits for what).
//
// Threads: one, which has no KJ event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/nemesis.h"
#include "troupe/sim/traders.h"
#include "troupe/sim/trial.h"

namespace troupe::sim {

enum class BudgetChoice : uint8_t { kBySeed, kWithin, kBeyond };

struct RunOptions {
  uint64_t seed = 1;
  size_t nodes = 0;                                // 3 to 9; 0: by seed.
  absl::Duration duration = absl::ZeroDuration();  // Of the storm; 0: by seed.
  std::vector<const Nemesis*> nemeses = {};
  enum class Choice : uint8_t { kBySeed, kThese } choice = Choice::kBySeed;
  BudgetChoice budget = BudgetChoice::kBySeed;
  // A directed trial with that prefix; "none": no trial; empty: by seed, unless nodes, duration,
  // nemeses or budget are given.
  std::string prefix = {};
  DiaryChoice diaries = DiaryChoice::kBySeed;    // Within the fault budget.
  TraderChoice traders = TraderChoice::kBySeed;  // The same.
  StateChoice state = StateChoice::kInMemory;
  std::function<void(ClusterOptions&)> adjust = nullptr;  // Has the last word on the cluster.
  MembershipMutations membership = {};                    // Only tests set them.
  ReplicaMutations replica = {};

  // Looks at the cluster after every event; tells `problem` what must not be.
  using Problem = std::function<void(std::string)>;
  std::function<std::function<void()>(Cluster&, Problem)> watch = nullptr;
};

struct RunResult {
  uint64_t seed = 0;
  std::vector<std::string> problems;  // Empty: all is well. At most 10.
  std::string checker;                // That told the first one.
  std::string prefix;                 // Empty: no directed trial.
  std::vector<std::string> nemeses;
  std::vector<std::string> said;  // What the storm did at last.
  size_t nodes = 0;
  FaultBudget budget = FaultBudget::kWithin;
  absl::Duration virtual_time;
  uint64_t trace_hash = 0;
  uint64_t answered = 0;  // Calls.
  uint64_t unknown = 0;
  size_t lost_shards = 0;
};

RunResult RunSeed(const RunOptions& options);

}  // namespace troupe::sim
