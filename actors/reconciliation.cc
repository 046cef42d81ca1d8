#include "troupe/actors/reconciliation.h"

#include <map>
#include <set>

namespace troupe {

void ReportAssembly::Begin(uint64_t request) {
  *this = ReportAssembly();
  request_ = request;
}

void ReportAssembly::Take(const Report& chunk) {
  if (whole_ || chunk.request != request_ || chunk.chunk != next_chunk_) return;
  if (report_.entries.size() + chunk.entries.size() > kReportEntriesMax) return;
  ++next_chunk_;
  report_.mark = chunk.mark;
  report_.entries.insert(report_.entries.end(), chunk.entries.begin(), chunk.entries.end());
  whole_ = chunk.last;
}

std::vector<ActorId> DifferingActors(const ActorStore& own,
                                     const std::vector<CopyReport>& reports) {
  std::set<ActorId> candidates;
  for (const Report::Entry& entry : own.ListAboveMark()) candidates.insert(entry.actor);
  std::vector<std::map<ActorId, Version>> reported(reports.size());
  for (size_t i = 0; i < reports.size(); ++i) {
    for (const Report::Entry& entry : reports[i].entries) {
      candidates.insert(entry.actor);
      reported[i][entry.actor] = entry.version;
    }
  }
  std::vector<ActorId> out;
  for (const ActorId& actor : candidates) {
    Version mine = own.VersionOf(actor);
    for (size_t i = 0; i < reports.size(); ++i) {
      auto theirs = reported[i].find(actor);
      bool differs = theirs == reported[i].end() ? mine > reports[i].mark : theirs->second != mine;
      if (!differs) continue;
      out.push_back(actor);
      break;
    }
  }
  return out;
}

LearnerDifference CompareLearner(const ActorStore& own, const std::vector<Report::Entry>& theirs) {
  LearnerDifference out;
  std::map<ActorId, Version> held;
  for (const Report::Entry& entry : theirs) {
    held[entry.actor] = entry.version;
    if (entry.version > own.VersionOf(entry.actor)) out.restamp.push_back(entry.actor);
  }
  for (const Report::Entry& entry : own.ListAll()) {
    auto it = held.find(entry.actor);
    if (it != held.end() ? it->second >= entry.version : false) continue;
    out.send.push_back(entry.actor);
  }
  return out;
}

std::vector<Report> ReportInChunks(uint64_t request, Version mark,
                                   const std::vector<Report::Entry>& entries) {
  std::vector<Report> out;
  auto begin = [&] {
    Report& report = out.emplace_back();
    report.request = request;
    report.chunk = static_cast<uint32_t>(out.size() - 1);
    report.mark = mark;
  };
  begin();
  size_t bytes = 0;
  for (const Report::Entry& entry : entries) {
    size_t more = entry.actor.key.size() + 48;
    if (bytes + more > kChunkBytes) {
      begin();
      bytes = 0;
    }
    out.back().entries.push_back(entry);
    bytes += more;
  }
  out.back().last = true;
  return out;
}

}  // namespace troupe
