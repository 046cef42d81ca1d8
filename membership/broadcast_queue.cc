#include "troupe/membership/broadcast_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "troupe/membership/gossip_codec.h"

namespace troupe {

bool BroadcastQueue::GoesFirst(const Entry& a, const Entry& b) {
  if (a.sends != b.sends) return a.sends < b.sends;
  if (a.bytes != b.bytes) return a.bytes > b.bytes;
  return a.order > b.order;
}

void BroadcastQueue::Add(Member rumour) {
  Remove(rumour.id.name);
  if (entries_.size() >= rumours_max_) entries_.pop_back();
  size_t bytes = EncodedBytes(rumour);
  Entry entry{std::move(rumour), bytes, 0, next_order_++};
  entries_.insert(std::upper_bound(entries_.begin(), entries_.end(), entry, GoesFirst),
                  std::move(entry));
}

void BroadcastQueue::Remove(std::string_view name) {
  std::erase_if(entries_, [name](const Entry& entry) { return entry.rumour.id.name == name; });
}

bool BroadcastQueue::Holds(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [name](const Entry& entry) { return entry.rumour.id.name == name; });
}

std::vector<Member> BroadcastQueue::Take(size_t bytes, int sends_max, std::string_view receiver) {
  std::vector<Member> taken;
  for (Entry& entry : entries_) {
    if (entry.bytes > bytes) continue;
    if (entry.rumour.id.name == receiver && entry.rumour.state == MemberState::kAlive) continue;
    bytes -= entry.bytes;
    ++entry.sends;
    taken.push_back(entry.rumour);
  }
  if (taken.empty()) return taken;
  std::erase_if(entries_, [sends_max](const Entry& entry) { return entry.sends >= sends_max; });
  std::sort(entries_.begin(), entries_.end(), GoesFirst);
  return taken;
}

int RetransmitLimit(int mult, size_t members, GossipReach reach) {
  int epidemic = mult * static_cast<int>(std::ceil(std::log10(static_cast<double>(members) + 1)));
  if (reach == GossipReach::kSampled) return std::max(1, epidemic);
  return std::max(epidemic, 2 * (static_cast<int>(members) - 1));
}

}  // namespace troupe
