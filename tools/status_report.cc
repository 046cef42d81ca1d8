#include "status_report.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/placement.h"
#include "troupe/runtime/json_text.h"

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
  report.stands_still = 2 * (report.voters.size() - voters_gone) <= report.voters.size();
}

// ---- Table

constexpr const char* kRed = "31";
constexpr const char* kYellow = "33";
constexpr const char* kGreen = "32";

std::string Painted(const std::string& text, const char* colour, Paint paint) {
  return paint == Paint::kPlain ? text : absl::StrCat("\x1b[", colour, "m", text, "\x1b[0m");
}

const char* ColourOf(const NodeRow& row) {
  if (row.state == "fenced" || row.seen == "dead") return kRed;
  return row.state == "draining" || row.seen == "suspect" ? kYellow : kGreen;
}

using Cells = std::vector<std::string>;

// All that is hosted, a few by name, or how many.
std::string ShownTypes(const NodeRow& row, const StatusReport& report) {
  constexpr size_t kNamed = 3;
  if (row.types.empty()) return "none";
  if (row.types == report.hosted) return "all";
  return row.types.size() <= kNamed ? absl::StrJoin(row.types, ",")
                                    : absl::StrCat(row.types.size(), " of ", report.hosted.size());
}

Cells CellsOf(const NodeRow& row, const StatusReport& report) {
  const bool coordinates = row.name == report.coordinator;
  const auto& answer = row.answer;
  const bool told = answer.trouble.empty();
  auto number = [told](uint64_t n) { return told ? absl::StrCat(n) : std::string("-"); };
  return {absl::StrCat(row.name, coordinates ? " *" : ""),
          row.state,
          row.seen,
          row.address,
          row.zone.empty() ? "-" : row.zone,
          ShownTypes(row, report),
          absl::StrCat(row.primaries),
          absl::StrCat(row.copies),
          absl::StrCat(row.learners),
          number(answer.actors),
          number(answer.stored_actors),
          number(answer.calls)};
}

std::string Aligned(const std::vector<Cells>& rows, const std::vector<const char*>& colours,
                    Paint paint) {
  constexpr size_t kFirstNumber = 6;  // Columns from here on are set to the right.
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const int width = static_cast<int>(widths[i]);
      std::string cell = i < kFirstNumber ? absl::StrFormat("%-*s", width, rows[r][i])
                                          : absl::StrFormat("%*s", width, rows[r][i]);
      if (r > 0 && (i == 1 || i == 2)) cell = Painted(cell, colours[r], paint);
      absl::StrAppend(&line, i == 0 ? "" : "  ", cell);
    }
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string ShardLine(const StatusReport& report, Paint paint) {
  std::string sizes;
  for (auto it = report.isr_sizes.rbegin(); it != report.isr_sizes.rend(); ++it) {
    absl::StrAppend(&sizes, sizes.empty() ? "" : ", ", it->second, " with ", it->first);
  }
  std::string out = absl::StrCat("shards   ", report.shards, "; copies in sync: ", sizes, "\n");
  if (report.healthy()) {
    const bool all = report.copies_possible >= report.config.replicas;
    const std::string words =
        all ? "all shards serve with all copies"
            : absl::StrCat("all shards serve, with ", report.copies_possible, " of ",
                           report.config.replicas, " copies: no more nodes ",
                           report.hosts_up < report.nodes_up || report.roles.size() > 1
                               ? "that could hold them "
                               : "",
                           "are up");
    return absl::StrCat(out, "health   ", Painted(words, all ? kGreen : kYellow, paint), "\n");
  }
  std::string troubles;
  auto add = [&](uint64_t n, const char* what) {
    if (n > 0) absl::StrAppend(&troubles, troubles.empty() ? "" : ", ", n, " ", what);
  };
  add(report.lost, "LOST");
  add(report.no_primary, "without a primary");
  add(report.under_replicated, "with too few copies");
  if (!report.gone.empty()) {
    absl::StrAppend(&troubles, troubles.empty() ? "" : ", ",
                    "up by the map, but not there: ", absl::StrJoin(report.gone, " "));
  }
  if (report.stands_still) {
    absl::StrAppend(&troubles, "; without a majority of the voters nothing is decided: start them ",
                    "with their data directories, or see troupe recover --node");
  }
  const bool down = report.lost + report.no_primary > 0 || report.stands_still;
  auto list = [&](const std::vector<ShardId>& shards, const char* what, const char* command) {
    constexpr size_t kShownMax = 16;
    if (shards.empty()) return;
    const auto shown = static_cast<ptrdiff_t>(std::min(shards.size(), kShownMax));
    const std::vector<ShardId> first(shards.begin(), shards.begin() + shown);
    absl::StrAppend(&out, what, absl::StrJoin(first, " "), shards.size() > kShownMax ? " ..." : "",
                    "  (see troupe ", command, ")\n");
  };
  list(report.lost_shards, "lost     ", "recover");
  list(report.waiting_shards, "waiting  ", "declare-lost");
  return absl::StrCat(out, "health   ", Painted(troubles, down ? kRed : kYellow, paint), "\n");
}

std::string ConfigLines(const StatusReport& report) {
  const auto at_least = [](const RoleEntry& role) {
    return absl::StrCat("at least ", role.min_isr, " to answer");
  };
  std::string out = absl::StrCat("config   ", report.config.replicas, " replicas");
  if (report.roles.size() == 1) return absl::StrCat(out, ", ", at_least(report.roles[0]), "\n");
  out += "\n";
  for (const auto& role : report.roles) {
    absl::StrAppend(&out, "role     ", role.name, ": ", role.shards, " shards, ", at_least(role),
                    "\n");
  }
  return out;
}

// Those that no node hosts any more come last: what is stored of them can be called by nobody.
std::string TypesLine(const StatusReport& report) {
  std::vector<std::string> unhosted;
  for (const auto& type : report.types) {
    if (!std::binary_search(report.hosted.begin(), report.hosted.end(), type.name)) {
      unhosted.push_back(type.name);
    }
  }
  std::sort(unhosted.begin(), unhosted.end());
  std::string out =
      absl::StrCat("types    ", report.hosted.empty() ? std::string("none")
                                                      : absl::StrJoin(report.hosted, ", "));
  if (!unhosted.empty()) {
    absl::StrAppend(&out, "; hosted by no node now: ", absl::StrJoin(unhosted, ", "));
  }
  return out + "\n";
}

std::string SuspendedLines(const StatusReport& report, Paint paint) {
  std::string out = absl::StrCat(Painted("suspended", kRed, paint), " actors: ", report.suspended,
                                 ", as they failed too often (see troupe resume)\n");
  size_t shown = 0;
  for (const auto& node : report.nodes) {
    for (const auto& actor : node.answer.suspended_actors) {
      absl::StrAppend(&out, "  ", actor, ", on ", node.name, "\n");
      ++shown;
    }
  }
  return absl::StrCat(out, shown < report.suspended ? "  ...\n" : "");
}

// ---- JSON

std::string Joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) absl::StrAppend(&out, out.empty() ? "" : ",", part);
  return out;
}

std::string JoinedQuoted(const std::vector<std::string>& texts) {
  std::vector<std::string> quoted;
  for (const auto& text : texts) quoted.push_back(QuotedJson(text));
  return Joined(quoted);
}

std::string ToJson(const NodeRow& row) {
  std::string out =
      absl::StrCat("{\"name\":", QuotedJson(row.name), ",\"boot\":", row.boot,
                   ",\"state\":", QuotedJson(row.state), ",\"seen\":", QuotedJson(row.seen),
                   ",\"address\":", QuotedJson(row.address), ",\"zone\":", QuotedJson(row.zone),
                   ",\"types\":[", JoinedQuoted(row.types), "],\"primaries\":", row.primaries);
  absl::StrAppend(&out, ",\"copies\":", row.copies, ",\"learners\":", row.learners);
  const auto& answer = row.answer;
  if (!answer.trouble.empty()) {
    return absl::StrCat(out, ",\"answered\":false,\"trouble\":", QuotedJson(answer.trouble), "}");
  }
  if (!answer.notice.empty()) absl::StrAppend(&out, ",\"notice\":", QuotedJson(answer.notice));
  return absl::StrCat(out, ",\"answered\":true,\"map_version\":", answer.map_version,
                      ",\"actors\":", answer.actors, ",\"stored_actors\":", answer.stored_actors,
                      ",\"calls\":", answer.calls, ",\"suspended\":", answer.suspended,
                      ",\"suspended_actors\":[", JoinedQuoted(answer.suspended_actors), "]}");
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

std::string ToTable(const StatusReport& report, Paint paint) {
  std::string out =
      absl::StrCat("cluster  ", report.cluster, ", map version ", report.version, "\n");
  absl::StrAppend(&out, "decides  ", report.coordinator.empty() ? "nobody now" : report.coordinator,
                  " coordinates; voters ", absl::StrJoin(report.voters, ", "), "\n");
  absl::StrAppend(&out, ConfigLines(report), TypesLine(report));
  absl::StrAppend(&out, ShardLine(report, paint), "\n");
  std::vector<Cells> rows = {{"NODE", "STATE", "SEEN", "ADDRESS", "ZONE", "TYPES", "PRIMARY",
                              "COPIES", "LEARNING", "ACTIVE", "STORED", "CALLS"}};
  std::vector<const char*> colours = {""};
  for (const auto& node : report.nodes) {
    rows.push_back(CellsOf(node, report));
    colours.push_back(ColourOf(node));
  }
  absl::StrAppend(&out, Aligned(rows, colours, paint));
  for (const auto& node : report.nodes) {
    if (node.answer.notice.empty()) continue;
    absl::StrAppend(&out, Painted("notice", kRed, paint), " of ", node.name, ": ",
                    node.answer.notice, "\n");
  }
  if (report.suspended > 0) absl::StrAppend(&out, SuspendedLines(report, paint));
  for (const auto& node : report.nodes) {
    if (node.answer.trouble.empty()) continue;
    absl::StrAppend(&out, "no answer from ", node.name, ": ", node.answer.trouble, "\n");
  }
  return out;
}

std::string ToJson(const StatusReport& report) {
  std::vector<std::string> voters, sizes, nodes, types, roles;
  for (const auto& type : report.types) {
    types.push_back(absl::StrFormat("{\"id\":\"0x%016x\",\"name\":%s,\"role\":%s}", type.id,
                                    QuotedJson(type.name), QuotedJson(type.role)));
  }
  for (const auto& role : report.roles) {
    roles.push_back(absl::StrCat("{\"name\":", QuotedJson(role.name), ",\"shards\":", role.shards,
                                 ",\"min_isr\":", role.min_isr, "}"));
  }
  for (const auto& voter : report.voters) voters.push_back(QuotedJson(voter));
  for (const auto& [size, count] : report.isr_sizes) {
    sizes.push_back(absl::StrCat("\"", size, "\":", count));
  }
  uint64_t actors = 0;
  for (const auto& node : report.nodes) {
    nodes.push_back(ToJson(node));
    actors += node.answer.actors;
  }
  return absl::StrCat(
      absl::StrCat("{\"cluster\":", QuotedJson(report.cluster), ",\"version\":", report.version,
                   ",\"coordinator\":", QuotedJson(report.coordinator), ",\"voters\":[",
                   Joined(voters), "],\"healthy\":", report.healthy() ? "true" : "false",
                   ",\"nodes_up\":", report.nodes_up, ",\"hosts_up\":", report.hosts_up,
                   ",\"types\":[", Joined(types), "],\"actors\":", actors,
                   ",\"suspended\":", report.suspended),
      absl::StrCat(",\"config\":{\"replicas\":", report.config.replicas,
                   ",\"min_isr\":", report.roles.empty() ? 0 : report.roles[0].min_isr,
                   ",\"shards\":", report.config.shards, ",\"roles\":[", Joined(roles), "]}"),
      absl::StrCat(",\"shards\":{\"total\":", report.shards, ",\"no_primary\":", report.no_primary,
                   ",\"lost\":", report.lost, ",\"waiting_shards\":[",
                   absl::StrJoin(report.waiting_shards, ","), "],\"lost_shards\":[",
                   absl::StrJoin(report.lost_shards, ","), "]", ",\"under_replicated\":",
                   report.under_replicated, ",\"isr_sizes\":{", Joined(sizes), "}}"),
      ",\"nodes\":[", Joined(nodes), "]}\n");
}

}  // namespace troupe
