// The report as one line of JSON.
#include "status_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "troupe/runtime/json_text.h"

namespace troupe {
namespace {

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

std::string ToJson(const StatusReport& report) {
  std::vector<std::string> voters, sizes, nodes, types, roles;
  for (const auto& type : report.types) {
    types.push_back(absl::StrFormat("{\"id\":\"0x%016x\",\"name\":%s,\"role\":%s,\"durable\":%s}",
                                    type.id, QuotedJson(type.name), QuotedJson(type.role),
                                    type.durable ? "true" : "false"));
  }
  for (const auto& role : report.roles) {
    roles.push_back(absl::StrCat("{\"name\":", QuotedJson(role.name), ",\"shards\":", role.shards,
                                 ",\"min_isr\":", role.min_isr,
                                 ",\"durable\":", role.durable ? "true" : "false", "}"));
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
