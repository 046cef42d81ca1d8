// BroadcastQueue: rumours waiting to ride on datagrams, each a bounded number of times.
//
// Keyed by the member's name: a newer rumour about a member replaces the older one. What was sent
// least goes first, among equals the largest that still fits, then the newest. Holds nothing but
// membership, so it cannot be starved by other traffic. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/membership/member.h"

namespace troupe {

class BroadcastQueue {
 public:
  // `rumours_max`: beyond it the most often sent one is dropped; push/pull repairs the loss.
  explicit BroadcastQueue(size_t rumours_max) : rumours_max_(rumours_max) {}

  void Add(Member rumour);
  void Remove(std::string_view name);
  void Clear();

  // Rumours of at most `bytes` in all, as they will be encoded, for `receiver` (who need not be
  // told that itself is alive). Counts one send for each and drops those sent `sends_max` times.
  std::vector<Member> Take(size_t bytes, int sends_max, std::string_view receiver);

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  bool Holds(std::string_view name) const;

 private:
  struct Entry {
    Member rumour;
    size_t bytes;
    int sends;
    uint64_t order;
  };
  struct GoesFirst {
    bool operator()(const Entry* a, const Entry* b) const;
  };

  size_t rumours_max_;
  uint64_t next_order_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;  // By the member's name.
  std::set<Entry*, GoesFirst> line_;                   // The same, who goes first in front.
};

// Times a rumour is sent by one member of a cluster of `members`: a logarithm is enough for an
// epidemic; where `exhaustive` gossip goes to all, everyone is told twice.
enum class GossipReach { kSampled, kExhaustive };
int RetransmitLimit(int mult, size_t members, GossipReach reach);

}  // namespace troupe
