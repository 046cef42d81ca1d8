// Vocabulary for tests of what nodes host: who joins with which types, and copies that follow.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cluster_fixture.h"
#include "troupe/membership/shard_rules.h"

namespace troupe {

inline Register Hosting(Register command, Types types) {
  command.types = std::move(types);
  return command;
}
inline Register Joining(const std::string& node, Types types) {
  return Hosting(Rejoin(node, 40 + node[0], 0), std::move(types));
}

// All that is planned, until nothing is; learners catch up at once.
inline void Repair(ClusterState& state) {
  for (int round = 0; round < 50; ++round) {
    const std::vector<Command> plan = PlanRepairs(state, 100);
    for (const Command& command : plan) EXPECT_TRUE(Do(state, command)) << Describe(command);
    for (ShardId id = 0; id < state.shards.size(); ++id) {
      const ShardEntry& shard = state.shards[id];
      if (!shard.learners.empty()) Do(state, AlterOf(state, id, Union(shard.isr, shard.learners)));
    }
    if (plan.empty()) return;
  }
  ADD_FAILURE() << "repairs do not end";
}

}  // namespace troupe
