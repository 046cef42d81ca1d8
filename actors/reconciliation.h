// Reconciliation: how what two copies hold is compared, from lists of (actor, version).
//
// Pure. Equal versions mean equal contents: an epoch has one primary and a batch number one
// content. Rules: docs/protocol.md P3.4, P3.8 and P3.9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "troupe/actors/actor_store.h"
#include "troupe/actors/replica_message.h"

namespace troupe {

// What a copy said it holds: all above `mark`, or all there is.
struct CopyReport {
  Version mark;
  std::vector<Report::Entry> entries;
};

inline constexpr size_t kReportEntriesMax = 16 << 20;  // Actors of one shard; a gigabyte of list.

// Puts the chunks of one report together. Chunks out of order and of other requests are dropped:
// the request is repeated until the report is whole.
class ReportAssembly {
 public:
  void Begin(uint64_t request);
  void Take(const Report& chunk);
  bool whole() const { return whole_; }
  uint64_t request() const { return request_; }
  CopyReport& report() { return report_; }

 private:
  uint64_t request_ = 0;
  uint32_t next_chunk_ = 0;
  bool whole_ = false;
  CopyReport report_;
};

// The actors that at least one ISR copy holds in another version than the new primary does, sorted.
//
// An actor that a copy does not report has there its version as of the copy's mark; and the primary
// holds everything up to any ISR copy's mark. So it differs exactly when the primary's version is
// above that mark.
std::vector<ActorId> DifferingActors(const ActorStore& own, const std::vector<CopyReport>& reports);

// What brings a learner to the primary's position.
struct LearnerDifference {
  std::vector<ActorId> send;     // The primary's version is higher: goes in the snapshot.
  std::vector<ActorId> restamp;  // The learner's is higher, or only it has the actor: what never
                                 // became an answer. Goes to all copies in a batch, newly stamped.
};
LearnerDifference CompareLearner(const ActorStore& own, const std::vector<Report::Entry>& theirs);

// A report in messages of bounded size.
std::vector<Report> ReportInChunks(uint64_t request, Version mark,
                                   const std::vector<Report::Entry>& entries);

}  // namespace troupe
