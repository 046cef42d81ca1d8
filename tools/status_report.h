// StatusReport: what `troupe status` shows: a cluster as its map and its nodes tell it.
//
// Pure. The map says who owns what, the answers of the nodes what runs where and who seems alive.
// Numbers are counts. With --json one object a line; its keys are in status_report.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "troupe/membership/cluster_state.h"

namespace troupe {

// What one node answered, or why it did not.
struct NodeAnswer {
  std::string node;
  std::string trouble;  // Empty: it answered.
  std::string notice;   // What the operator should know; empty: nothing.
  std::string coordinator;
  uint64_t map_version = 0;
  uint64_t actors = 0;                         // Activations.
  uint64_t stored_actors = 0;                  // Of which it holds a copy.
  uint64_t calls = 0;                          // Answered since its start.
  uint64_t suspended = 0;                      // Actors that failed too often.
  std::vector<std::string> suspended_actors;   // Some of them: "TYPE/KEY: why".
  std::map<std::string, std::string> members;  // Name to alive, suspect, dead or left.
};

struct NodeRow {
  std::string name;
  Boot boot = 0;
  std::string state;  // As the register decided: up, draining, fenced.
  std::string seen;   // As gossip has it, the worst that any node says: alive, suspect, dead.
  std::string address;
  std::string zone;
  uint64_t primaries = 0;
  uint64_t copies = 0;  // In sync, its primaries among them.
  uint64_t learners = 0;
  std::vector<std::string> types;  // That it hosts, sorted.
  NodeAnswer answer;
};

struct StatusReport {
  std::string cluster;
  uint64_t version = 0;
  std::string coordinator;  // As most nodes say; empty if none does.
  std::vector<std::string> voters;
  ClusterConfig config;
  std::vector<NodeRow> nodes;       // By name, without those that left.
  std::vector<HostedType> types;    // That these nodes host, or once hosted.
  std::vector<std::string> hosted;  // The names of those that a node hosts now, sorted.
  uint64_t nodes_up = 0;
  uint64_t hosts_up = 0;  // Of them those that host something: only they hold copies.
  std::vector<RoleEntry> roles;
  uint64_t copies_possible = 0;  // Of each shard of the role with fewest nodes; at most replicas.
  uint64_t shards = 0;
  uint64_t no_primary = 0;
  uint64_t lost = 0;
  std::vector<ShardId>
      waiting_shards;  // Those without a primary, as `troupe declare-lost` takes them.
  std::vector<ShardId> lost_shards;
  uint64_t under_replicated =
      0;  // Fewer copies in sync than replicas, or than its role has nodes that are up.
  std::map<size_t, uint64_t> isr_sizes;  // Size to the number of shards.
  // Nodes that the map has as up or draining, but that are dead to others, or were asked in vain:
  // the map may be older than what has happened to them.
  std::vector<std::string> gone;
  bool stands_still = false;  // So many of them vote that nothing can be decided.
  uint64_t suspended = 0;     // Actors, of all nodes that answered.

  // Everything has a primary and all the copies it can have, and all who have them are there.
  bool healthy() const {
    return no_primary == 0 && lost == 0 && under_replicated == 0 && gone.empty();
  }
};

StatusReport MakeStatusReport(const ClusterState& map, const std::vector<NodeAnswer>& answers);

enum class Paint : uint8_t { kPlain, kColours };
std::string ToTable(const StatusReport& report, Paint paint);
std::string ToJson(const StatusReport& report);

}  // namespace troupe
