// Trial: one seed of a whole cluster under faults, judged by all checkers.
//
// Small clusters with few shards and extreme links, disks, clocks and time limits: what goes wrong
// rarely in a large cluster goes wrong often in these. Half of the seeds begin with a directed
// prefix (prefixes.h) that brings about what random faults reach too rarely; all go on with random
// ones, are healed and read. The first problem ends the trial.
//
// Everything follows from the seed and the options.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/membership/membership_mutations.h"
#include "troupe/sim/diary.h"
#include "troupe/sim/traders.h"

namespace troupe::sim {

// Where the actors of a run have their state: on disk, each type is as if it were durable.
enum class StateChoice : uint8_t { kInMemory, kOnDisk };

struct TrialOptions {
  MembershipMutations membership = {};
  ReplicaMutations replica = {};
  std::string prefix = {};                       // That one; empty: by the seed.
  DiaryChoice diaries = DiaryChoice::kBySeed;    // Half of the seeds have some (diary.h).
  TraderChoice traders = TraderChoice::kBySeed;  // All do, of some kinds (traders.h).
  StateChoice state = StateChoice::kInMemory;
  absl::Duration healing_limit = absl::Seconds(90);  // Virtual, for the cluster to be whole.
};

struct TrialResult {
  std::string checker;  // Empty: nothing was found.
  std::string problem;
  std::string prefix;  // Empty: random faults only.
  size_t nodes = 0;
  uint64_t answered = 0;
  absl::Duration virtual_time;
  uint64_t trace_hash = 0;
};

TrialResult RunTrial(uint64_t seed, const TrialOptions& options = {});

}  // namespace troupe::sim
