#include "troupe/membership/push_pull_schedule.h"

#include <algorithm>
#include <utility>

namespace troupe {

void PushPullSchedule::SetSeeds(absl::Time now, std::vector<std::string> addresses) {
  std::map<std::string, Seed> before = std::exchange(seeds_, {});
  for (std::string& address : addresses) {
    auto known = before.find(address);
    Seed seed = known == before.end() ? Seed{now, 0, false} : known->second;
    seeds_[std::move(address)] = seed;
  }
}

void PushPullSchedule::DropSeed(const std::string& address) { seeds_.erase(address); }

void PushPullSchedule::SeedReached(const std::string& address) {
  auto it = seeds_.find(address);
  if (it != seeds_.end()) it->second.reached = true;
}

std::vector<std::string> PushPullSchedule::DueSeeds(absl::Time now) const {
  std::vector<std::string> due;
  for (const auto& [address, seed] : seeds_) {
    if (!seed.reached && seed.next_try <= now) due.push_back(address);
  }
  return due;
}

std::optional<Exchange> PushPullSchedule::Begin(absl::Time now, const std::string& address,
                                                const std::string& name,
                                                std::vector<uint16_t> buckets) {
  if (under_way_.size() >= static_cast<size_t>(options_.push_pulls_max)) return std::nullopt;
  auto seed = seeds_.find(address);
  for (const auto& [id, exchange] : under_way_) {
    if (exchange.address != address) continue;
    if (seed != seeds_.end()) seed->second.next_try = exchange.expires;
    return std::nullopt;
  }
  Exchange exchange{next_id_++, address, name, now + options_.push_pull_timeout,
                    std::move(buckets)};
  under_way_[exchange.id] = exchange;
  if (seed != seeds_.end()) seed->second.next_try = exchange.expires;
  return exchange;
}

std::vector<uint16_t> PushPullSchedule::BucketsOf(uint64_t id) const {
  auto at = under_way_.find(id);
  return at == under_way_.end() ? std::vector<uint16_t>() : at->second.buckets;
}

std::optional<Exchange> PushPullSchedule::End(uint64_t id) {
  auto node = under_way_.extract(id);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::vector<Exchange> PushPullSchedule::TakeExpired(absl::Time now) {
  std::vector<Exchange> expired;
  for (const auto& [id, exchange] : under_way_) {
    if (exchange.expires <= now) expired.push_back(exchange);
  }
  for (const Exchange& exchange : expired) under_way_.erase(exchange.id);
  return expired;
}

std::optional<PushPullSchedule::Retry> PushPullSchedule::SeedFailed(absl::Time now,
                                                                    const std::string& address,
                                                                    Random& random) {
  auto it = seeds_.find(address);
  if (it == seeds_.end()) return std::nullopt;
  Seed& seed = it->second;
  int doublings = std::min(seed.attempts++, 16);
  absl::Duration wait =
      std::min(options_.seed_retry_min * (1 << doublings), options_.seed_retry_max);
  wait *= 0.75 + 0.5 * random.Unit();  // So that a whole cluster does not come at once.
  seed.next_try = now + wait;
  return Retry{seed.attempts, wait};
}

absl::Time PushPullSchedule::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, exchange] : under_way_) next = std::min(next, exchange.expires);
  if (under_way_.size() >= static_cast<size_t>(options_.push_pulls_max)) return next;
  for (const auto& [address, seed] : seeds_) {
    if (!seed.reached) next = std::min(next, seed.next_try);
  }
  return next;
}

}  // namespace troupe
