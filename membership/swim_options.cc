#include "troupe/membership/swim_options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "troupe/membership/gossip_seal.h"

namespace troupe {

SwimOptions SwimOptions::Scaled(double factor) const {
  SwimOptions scaled = *this;
  for (absl::Duration SwimOptions::*time :
       {&SwimOptions::probe_interval, &SwimOptions::probe_timeout, &SwimOptions::gossip_interval,
        &SwimOptions::gossip_to_dead, &SwimOptions::push_pull_interval,
        &SwimOptions::push_pull_timeout, &SwimOptions::reconnect_interval,
        &SwimOptions::seed_retry_min, &SwimOptions::seed_retry_max, &SwimOptions::leave_timeout,
        &SwimOptions::tombstone_keep}) {
    scaled.*time *= factor;
  }
  return scaled;
}

absl::Status SwimOptions::Validate() const {
  if (probe_timeout <= absl::ZeroDuration() || probe_timeout * 2 > probe_interval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "probe_interval must hold two probe_timeouts (direct, then indirect), got ",
        absl::FormatDuration(probe_interval), " and ", absl::FormatDuration(probe_timeout)));
  }
  if (gossip_interval <= absl::ZeroDuration() || push_pull_interval <= absl::ZeroDuration() ||
      reconnect_interval <= absl::ZeroDuration() || seed_retry_min <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "gossip, push/pull, reconnect and seed intervals must be > 0");
  }
  if (suspicion_mult < 1 || suspicion_max_mult < 1 || gossip_fanout < 1 || retransmit_mult < 1) {
    return absl::InvalidArgumentError("suspicion, fanout and retransmit multipliers must be >= 1");
  }
  if (datagram_bytes_max < 1300 || datagram_bytes_max > 1400 - kSealBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("datagram_bytes_max must be in [1300, ", 1400 - kSealBytes,
                     "] to hold the largest member, got ", datagram_bytes_max));
  }
  return absl::OkStatus();
}

SwimOptions LanFastProfile() { return SwimOptions(); }

SwimOptions LanProfile() {
  SwimOptions lan;
  lan.probe_interval = absl::Seconds(1);
  lan.probe_timeout = absl::Milliseconds(500);
  lan.gossip_interval = absl::Milliseconds(200);
  lan.gossip_to_dead = absl::Seconds(30);
  lan.suspicion_mult = 4;
  lan.suspicion_max_mult = 6;
  lan.push_pull_interval = absl::Seconds(30);
  lan.push_pull_timeout = absl::Seconds(10);
  lan.reconnect_interval = absl::Seconds(30);
  lan.seed_retry_max = absl::Seconds(30);
  lan.leave_timeout = absl::Seconds(5);
  lan.tombstone_keep = absl::Hours(24);
  return lan;
}

SwimOptions WanProfile() {
  SwimOptions wan = LanProfile();
  wan.probe_interval = absl::Seconds(5);
  wan.probe_timeout = absl::Milliseconds(2500);  // memberlist's 3 s leaves indirect probes no time.
  wan.gossip_interval = absl::Milliseconds(500);
  wan.gossip_fanout = 4;
  wan.gossip_to_dead = absl::Seconds(60);
  wan.suspicion_mult = 6;
  wan.push_pull_interval = absl::Seconds(60);
  wan.push_pull_timeout = absl::Seconds(30);
  wan.reconnect_interval = absl::Seconds(60);
  return wan;
}

SwimOptions CiProfile() { return LanFastProfile().Scaled(5); }

absl::StatusOr<SwimOptions> SwimProfile(std::string_view name) {
  if (name == "lan-fast") return LanFastProfile();
  if (name == "lan") return LanProfile();
  if (name == "wan") return WanProfile();
  if (name == "ci") return CiProfile();
  return absl::InvalidArgumentError(absl::StrCat(
      "membership profile must be lan-fast, lan, wan or ci, got '", std::string(name), "'"));
}

}  // namespace troupe
