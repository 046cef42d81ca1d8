// SwimOptions: every number of the failure detector, with its reason.
//
// Values. Four profiles differ only in numbers; Scaled() stretches all times of one of them.
// Source: Das, Gupta, Motivala, "SWIM", 2002; Dadgar, Phillips, Currey, "Lifeguard", 2017; the
// defaults of memberlist for `lan` and `wan`.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace troupe {

// The member initializers are the profile `lan-fast`.
struct SwimOptions {
  // ---- Probing.
  absl::Duration probe_interval =
      absl::Milliseconds(200);                            // One member per interval: a dead one is
                                                          // found after 1.6 intervals on average.
  absl::Duration probe_timeout = absl::Milliseconds(80);  // Many times a LAN round trip, and twice
                                                          // of it fits in an interval (indirect).
  int indirect_checks = 3;  // Helpers asked when a direct ping fails; in effect min(3, n - 2).

  // ---- Gossip.
  absl::Duration gossip_interval = absl::Milliseconds(50);  // A rumour needs 3 rounds at n = 10, 6
                                                            // at n = 100: less than one suspicion.
  int gossip_fanout = 3;    // Up to 2 * fanout + 2 members all are told: sampling so few leaves
                            // one update in fifteen unfinished at n = 5.
  int retransmit_mult = 4;  // Times ceil(log10(n + 1)) sends of a rumour per member.
  absl::Duration gossip_to_dead = absl::Seconds(5);  // So long the dead still hear gossip, so that
                                                     // a live one learns of it and refutes.

  // ---- Suspicion.
  int suspicion_mult = 3;      // Least time to refute: 3 * max(1, log10 n) probe intervals.
  int suspicion_max_mult = 4;  // An accusation nobody confirms waits 4 times that.

  // ---- Anti-entropy.
  absl::Duration push_pull_interval = absl::Seconds(5);  // Repairs what gossip did not finish.
  absl::Duration push_pull_timeout = absl::Seconds(2);   // An exchange without an end is given up.
  absl::Duration reconnect_interval = absl::Seconds(5);  // A dead member or lost seed is tried:
                                                         // this heals a partition.
  absl::Duration seed_retry_min = absl::Milliseconds(100);  // First retry of a seed; doubles up to
  absl::Duration seed_retry_max = absl::Seconds(5);         // this, for ever.
  int push_pulls_max = 3;  // Exchanges under way at once; a slow peer must not pile them up.

  // ---- Leaving, forgetting.
  absl::Duration leave_timeout = absl::Seconds(1);    // Leaving ends then, told or not.
  absl::Duration tombstone_keep = absl::Minutes(30);  // The dead and left are remembered so long:
                                                      // far beyond any rumour still in flight.
  size_t tombstones_max = 1024;  // Beyond it the oldest go: nodes with random names come and go.
  size_t members_max = 16384;    // Beyond it no new name is believed; ten times the largest tested.

  // ---- Local health (Lifeguard).
  int health_max = 7;     // The probe interval stretches up to 8 times.
  int sick_score = 5;     // From here on our own failed probe accuses nobody,
  int sick_patience = 3;  // unless the same member fails so often in a row: in a cluster of two
                          // nobody else could find it dead.

  // ---- Datagrams.
  size_t datagram_bytes_max = 1340;  // With 44 bytes for encryption below 1400: no fragments on any
                                     // usual path.

  // All times multiplied by `factor`, counts unchanged.
  SwimOptions Scaled(double factor) const;
  // InvalidArgument, naming the number, when they cannot work together.
  absl::Status Validate() const;
};

SwimOptions LanFastProfile();  // Default: silent crash declared in about 1 s.
SwimOptions LanProfile();      // memberlist's LAN numbers: 6 s, a fifth of the packets.
SwimOptions WanProfile();      // memberlist's WAN numbers: across continents.
SwimOptions CiProfile();       // lan-fast, five times slower: sanitizers on two busy cores.

// By name: "lan-fast", "lan", "wan", "ci". InvalidArgument lists them.
absl::StatusOr<SwimOptions> SwimProfile(std::string_view name);

}  // namespace troupe
