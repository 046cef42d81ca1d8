#include "status_report.h"

#include <algorithm>
#include <set>

#include "troupe/membership/placement.h"

namespace troupe {
namespace {

constexpr const char* kNotAsked = "not asked";

const char* Lower(NodeState state) {
  switch (state) {
    case NodeState::kUp:
      return "up";
    case NodeState::kDraining:
      return "draining";
    case NodeState::kFenced:
      return "fenced";
    case NodeState::kLeft:
      return "left";
  }
  return "unknown";
}

int Badness(const std::string& seen) {
  if (seen == "dead") return 3;
  if (seen == "suspect") return 2;
  return seen == "alive" ? 1 : 0;
}

std::string WorstSeen(const std::string& node, const std::vector<NodeAnswer>& answers) {
  std::string worst = "unknown";
  for (const auto& answer : answers) {
    auto it = answer.members.find(node);
    if (it != answer.members.end() && Badness(it->second) > Badness(worst)) worst = it->second;
  }
  return worst;
}

std::string MostSay(const std::vector<NodeAnswer>& answers) {
  std::map<std::string, size_t> votes;
  for (const auto& answer : answers) {
    if (!answer.coordinator.empty()) ++votes[answer.coordinator];
  }
  auto most = std::max_element(votes.begin(), votes.end(),
                               [](auto& a, auto& b) { return a.second < b.second; });
  return most == votes.end() ? "" : most->first;
}

bool Has(const std::vector<CopyId>& copies, CopyId copy) {
  return std::find(copies.begin(), copies.end(), copy) != copies.end();
}

std::vector<std::string> NamesOf(const std::vector<uint64_t>& types, const ClusterState& map) {
  std::vector<std::string> names;
  for (uint64_t id : types) {
    if (const HostedType* type = map.FindType(id)) names.push_back(type->name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

NodeRow MakeRow(const NodeEntry& node, const ClusterState& map,
                const std::vector<NodeAnswer>& answers) {
  NodeRow row;
  row.name = node.name;
  row.boot = node.boot;
  row.state = Lower(node.state);
  row.seen = WorstSeen(node.name, answers);
  row.address = node.addresses.empty() ? "" : node.addresses.front();
  row.zone = node.zone;
  for (const auto& shard : map.shards) {
    row.primaries += shard.primary == node.boot;
    row.copies += Has(shard.isr, node.boot);
    row.learners += Has(shard.learners, node.boot);
  }
  row.types = NamesOf(node.types, map);
  row.answer.trouble = kNotAsked;
  for (const auto& answer : answers) {
    if (answer.node == node.name) row.answer = answer;
  }
  return row;
}

void CountShards(const ClusterState& map, StatusReport& report) {
  for (const auto& node : map.nodes) {
    report.nodes_up += node.state == NodeState::kUp;
    report.hosts_up += node.state == NodeState::kUp && node.hosts();
  }
  const Copies copies(map);
  std::vector<size_t> wanted;  // By role.
  report.copies_possible = map.config.replicas;
  for (size_t role = 0; role < map.roles.size(); ++role) {
    wanted.push_back(std::min<size_t>(map.config.replicas, CountHosts(map, copies, role)));
    report.copies_possible = std::min<uint64_t>(report.copies_possible, wanted.back());
  }
  report.shards = map.shards.size();
  for (ShardId id = 0; id < map.shards.size(); ++id) {
    const auto& shard = map.shards[id];
    if (shard.state == ShardState::kNoPrimary) report.waiting_shards.push_back(id);
    if (shard.state == ShardState::kLost) report.lost_shards.push_back(id);
    report.no_primary += shard.state == ShardState::kNoPrimary;
    report.lost += shard.state == ShardState::kLost;
    report.under_replicated += shard.isr.size() < wanted[map.RoleOf(id)];
    ++report.isr_sizes[shard.isr.size()];
  }
}

void FindGone(StatusReport& report) {
  size_t voters_gone = 0;
  for (const auto& row : report.nodes) {
    const bool counts = row.state == "up" || row.state == "draining";
    const bool silent = !row.answer.trouble.empty() && row.answer.trouble != kNotAsked;
    if (!counts || (row.seen != "dead" && !silent)) continue;
    report.gone.push_back(row.name);
    voters_gone += std::count(report.voters.begin(), report.voters.end(), row.name);
  }
  report.stands_still =
      !report.gone.empty() && 2 * (report.voters.size() - voters_gone) <= report.voters.size();
}

}  // namespace

StatusReport MakeStatusReport(const ClusterState& map, const std::vector<NodeAnswer>& answers) {
  StatusReport report;
  report.cluster = map.cluster.ToString();
  report.version = map.version;
  report.coordinator = MostSay(answers);
  for (const auto& voter : map.voters) report.voters.push_back(voter.node);
  report.config = map.config;
  for (const auto& node : map.nodes) {
    if (node.state != NodeState::kLeft) report.nodes.push_back(MakeRow(node, map, answers));
  }
  report.types = map.types;
  report.roles = map.roles;
  std::set<std::string> hosted;
  for (const auto& node : report.nodes) hosted.insert(node.types.begin(), node.types.end());
  report.hosted.assign(hosted.begin(), hosted.end());
  CountShards(map, report);
  FindGone(report);
  for (const auto& node : report.nodes) report.suspended += node.answer.suspended;
  return report;
}

}  // namespace troupe
