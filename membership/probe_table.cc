#include "troupe/membership/probe_table.h"

#include <algorithm>
#include <utility>

namespace troupe {

Probe& ProbeTable::AddProbe(Probe probe) {
  uint64_t sequence = probe.sequence;
  return probes_[sequence] = std::move(probe);
}

Probe* ProbeTable::FindProbe(uint64_t sequence) {
  auto it = probes_.find(sequence);
  return it == probes_.end() ? nullptr : &it->second;
}

Probe* ProbeTable::FindProbeOf(std::string_view name) {
  for (auto& [sequence, probe] : probes_) {
    if (probe.target.name == name) return &probe;
  }
  return nullptr;
}

void ProbeTable::EndProbe(uint64_t sequence) { probes_.erase(sequence); }

void ProbeTable::EndProbesOf(std::string_view name) {
  std::erase_if(probes_, [name](const auto& entry) { return entry.second.target.name == name; });
}

bool ProbeTable::AddRelay(Relay relay) {
  if (relays_.size() >= kRelaysMax) return false;
  uint64_t sequence = relay.sequence;
  relays_[sequence] = std::move(relay);
  return true;
}

std::optional<Relay> ProbeTable::TakeRelay(uint64_t sequence) {
  auto node = relays_.extract(sequence);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::vector<uint64_t> ProbeTable::DueForHelp(absl::Time now) const {
  std::vector<uint64_t> due;
  for (const auto& [sequence, probe] : probes_) {
    if (!probe.indirect && probe.direct_due <= now) due.push_back(sequence);
  }
  return due;
}

std::vector<uint64_t> ProbeTable::Failed(absl::Time now) const {
  std::vector<uint64_t> failed;
  for (const auto& [sequence, probe] : probes_) {
    if (probe.deadline <= now) failed.push_back(sequence);
  }
  return failed;
}

std::vector<Relay> ProbeTable::TakeDueRelays(absl::Time now) {
  std::vector<Relay> due;
  for (const auto& [sequence, relay] : relays_) {
    if (relay.nack_due <= now) due.push_back(relay);
  }
  for (const Relay& relay : due) relays_.erase(relay.sequence);
  return due;
}

absl::Time ProbeTable::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [sequence, probe] : probes_) {
    next = std::min(next,
                    probe.indirect ? probe.deadline : std::min(probe.direct_due, probe.deadline));
  }
  for (const auto& [sequence, relay] : relays_) next = std::min(next, relay.nack_due);
  return next;
}

void ProbeTable::Postpone(absl::Duration by) {
  for (auto& [sequence, probe] : probes_) {
    probe.direct_due += by;
    probe.deadline += by;
  }
  for (auto& [sequence, relay] : relays_) relay.nack_due += by;
}

}  // namespace troupe
