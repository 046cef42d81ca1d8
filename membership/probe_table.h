// ProbeTable: the pings under way, our own and those we relay for others.
//
// Keeps state and deadlines; swim.cc sends. Not thread-safe. Bounded: one own probe per member, and
// kRelaysMax relays.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "troupe/membership/member.h"

namespace troupe {

inline constexpr size_t kRelaysMax =
    1024;  // Each lives one probe timeout; beyond it: a nack at once.

// One of our own probes: a ping, then helpers and the fallback, then a verdict.
struct Probe {
  uint64_t sequence = 0;
  MemberId target;
  absl::Time sent;
  absl::Time direct_due;  // No ack by then: ask helpers, try the link.
  absl::Time deadline;    // No ack by then: failed.
  bool urgent = false;    // Begun on evidence: the owner wants to hear how it ends.
  bool indirect = false;  // Helpers have been asked.
  bool reached_by_link = false;
  std::vector<std::string> helpers;  // Asked.
  std::vector<std::string> nacked;   // Of these, have answered that they cannot reach it either.
};

// A ping sent because another node asked for it.
struct Relay {
  uint64_t sequence = 0;  // Ours.
  Id128 target_nonce;
  std::string asker_name;
  Id128 asker_nonce;
  std::string asker_address;
  uint64_t asker_sequence = 0;
  absl::Time nack_due;
};

class ProbeTable {
 public:
  Probe& AddProbe(Probe probe);
  Probe* FindProbe(uint64_t sequence);
  Probe* FindProbeOf(std::string_view name);
  void EndProbe(uint64_t sequence);
  void EndProbesOf(std::string_view name);

  // False when full.
  bool AddRelay(Relay relay);
  std::optional<Relay> TakeRelay(uint64_t sequence);

  // What is due, oldest first. Probes stay until ended; relays are taken out.
  std::vector<uint64_t> DueForHelp(absl::Time now) const;
  std::vector<uint64_t> Failed(absl::Time now) const;
  std::vector<Relay> TakeDueRelays(absl::Time now);

  absl::Time NextDeadline() const;
  void Postpone(absl::Duration by);

  uint64_t NewSequence() { return next_sequence_++; }

 private:
  uint64_t next_sequence_ = 1;
  std::map<uint64_t, Probe> probes_;
  std::map<uint64_t, Relay> relays_;
};

}  // namespace troupe
