// PushPullSchedule: which exchanges are under way, and when a seed is tried again.
//
// Keeps state; swim.cc decides with whom. Each seed is tried for ever, ever more slowly, until it
// has been reached once. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "troupe/membership/swim_options.h"
#include "troupe/runtime/random.h"

namespace troupe {

struct Exchange {
  uint64_t id = 0;
  std::string address;
  std::string name;  // Empty: a seed, we do not know who that is.
  absl::Time expires;
  std::vector<uint16_t> buckets = {};  // Set: the second request, with our members of these.
};

class PushPullSchedule {
 public:
  explicit PushPullSchedule(const SwimOptions& options) : options_(options) {}

  // Seeds that were there already keep their next try.
  void SetSeeds(absl::Time now, std::vector<std::string> addresses);
  void DropSeed(const std::string& address);  // It is ourselves.
  const auto& seeds() const { return seeds_; }
  std::vector<std::string> DueSeeds(absl::Time now) const;

  void SeedReached(const std::string& address);

  // Nothing when as many as allowed are under way, or one with that address is.
  std::optional<Exchange> Begin(absl::Time now, const std::string& address, const std::string& name,
                                std::vector<uint16_t> buckets = {});
  std::vector<uint16_t> BucketsOf(uint64_t id) const;
  // Nothing when it is unknown or given up: its result still counts, the schedule has moved on.
  std::optional<Exchange> End(uint64_t id);
  std::vector<Exchange> TakeExpired(absl::Time now);

  // Times until the next try of a seed that failed `address`; nothing if it is none.
  struct Retry {
    int attempts;
    absl::Duration in;
  };
  std::optional<Retry> SeedFailed(absl::Time now, const std::string& address, Random& random);

  absl::Time NextDeadline() const;

 private:
  struct Seed {
    absl::Time next_try;
    int attempts = 0;
    bool reached = false;
  };
  SwimOptions options_;
  std::map<std::string, Seed> seeds_;
  std::map<uint64_t, Exchange> under_way_;
  uint64_t next_id_ = 1;
};

}  // namespace troupe
