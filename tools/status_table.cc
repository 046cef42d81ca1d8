// The report as a table for people.
#include "status_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace troupe {
namespace {

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
  const bool plain = report.roles.size() == 1 && !report.roles[0].durable;
  if (plain) return absl::StrCat(out, ", ", at_least(report.roles[0]), "\n");
  out += "\n";
  for (const auto& role : report.roles) {
    absl::StrAppend(&out, "role     ", Describe(role), ": ", role.shards, " shards, ",
                    at_least(role), "\n");
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
  std::string out =
      absl::StrCat(Painted("suspended", kRed, paint), " actors: ", report.suspended,
                   " (mend what each says; troupe resume has one tried again at once)\n");
  size_t shown = 0;
  for (const auto& node : report.nodes) {
    for (const auto& actor : node.answer.suspended_actors) {
      absl::StrAppend(&out, "  ", actor, ", on ", node.name, "\n");
      ++shown;
    }
  }
  return absl::StrCat(out, shown < report.suspended ? "  ...\n" : "");
}

}  // namespace

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

}  // namespace troupe
