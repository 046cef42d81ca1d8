// Peer: what a primary knows of one other copy, in one epoch. A part of Primary.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "troupe/actors/learner_feed.h"
#include "troupe/actors/reconciliation.h"

namespace troupe {

struct Peer {
  enum class Stage : uint8_t {
    kIdle,       // Gets heartbeats only.
    kReporting,  // Asked what it holds.
    kReported,   // An ISR member that waits for the reconciliation.
    kSnapshot,   // A learner whose differences are being sent.
    kStreaming,  // Gets every batch after `acked`.
  };
  Stage stage = Stage::kIdle;
  bool in_isr = false;   // In the newest map.
  bool lost = false;     // Said that it cannot follow the stream.
  uint64_t request = 0;  // The newest ReportRequest.
  ReportAssembly report;
  std::optional<LearnerFeed> feed;
  uint64_t join_seq = 1;  // A learner joins the ISR no earlier than this.
  uint64_t sent = 0;      // Of the log.
  uint64_t acked = 0;
  uint64_t taken = 0;  // No less than acked: it has these, its disk may not (P3.19).
  // When it last acknowledged or reported, or was first sent what it has not acknowledged.
  absl::Time progress = absl::InfinitePast();
  absl::Time asked = absl::InfinitePast();  // When it was last sent something with a stamp.
  absl::Time lease_until = absl::InfinitePast();
  // In run time (P3.10): when it was first sent something since it last said anything.
  std::optional<absl::Duration> unanswered;
  // In run time: since when it has owed an acknowledgement of what it was sent.
  std::optional<absl::Duration> owes;

  void Reset() {
    stage = Stage::kIdle;
    feed.reset();
    lost = false;
    sent = acked = taken = 0;
    owes.reset();
  }
  // What it has of this epoch, as a member of the ISR.
  uint64_t held() const { return stage == Stage::kStreaming ? acked : 0; }
  bool awaited() const {
    return stage == Stage::kStreaming ? acked < sent : feed.has_value() && feed->waiting();
  }
};

}  // namespace troupe
