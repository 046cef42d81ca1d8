#include "troupe/membership/broadcast_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "troupe/membership/gossip_codec.h"

namespace troupe {
namespace {

// What the smallest rumour takes. Exact: below it a full datagram need not look at all that wait.
size_t LeastBytes() {
  static const size_t least = [] {
    Member bare;
    bare.id.name = "n";
    return EncodedBytes(bare);
  }();
  return least;
}

}  // namespace

bool BroadcastQueue::GoesFirst::operator()(const Entry* a, const Entry* b) const {
  if (a->sends != b->sends) return a->sends < b->sends;
  if (a->bytes != b->bytes) return a->bytes > b->bytes;
  return a->order > b->order;
}

void BroadcastQueue::Add(Member rumour) {
  Remove(rumour.id.name);
  if (entries_.size() >= rumours_max_) {
    const std::string last = (*line_.rbegin())->rumour.id.name;
    Remove(last);
  }
  const size_t bytes = EncodedBytes(rumour);
  std::string name = rumour.id.name;
  Entry& entry = entries_[std::move(name)];
  entry = Entry{std::move(rumour), bytes, 0, next_order_++};
  line_.insert(&entry);
}

void BroadcastQueue::Remove(std::string_view name) {
  auto at = entries_.find(name);
  if (at == entries_.end()) return;
  line_.erase(&at->second);
  entries_.erase(at);
}

void BroadcastQueue::Clear() {
  line_.clear();
  entries_.clear();
}

bool BroadcastQueue::Holds(std::string_view name) const {
  return entries_.find(name) != entries_.end();
}

std::vector<Member> BroadcastQueue::Take(size_t bytes, int sends_max, std::string_view receiver) {
  std::vector<Member> taken;
  std::vector<Entry*> sent;
  const size_t least = LeastBytes();
  for (Entry* entry : line_) {
    if (bytes < least) break;
    if (entry->bytes > bytes) continue;
    const Member& rumour = entry->rumour;
    if (rumour.id.name == receiver && rumour.state == MemberState::kAlive) continue;
    bytes -= entry->bytes;
    taken.push_back(rumour);
    sent.push_back(entry);
  }
  for (Entry* entry : sent) line_.erase(entry);  // Its place depends on what changes now.
  for (Entry* entry : sent) {
    if (++entry->sends < sends_max) {
      line_.insert(entry);
    } else {
      entries_.erase(entries_.find(entry->rumour.id.name));
    }
  }
  return taken;
}

int RetransmitLimit(int mult, size_t members, GossipReach reach) {
  int epidemic = mult * static_cast<int>(std::ceil(std::log10(static_cast<double>(members) + 1)));
  if (reach == GossipReach::kSampled) return std::max(1, epidemic);
  return std::max(epidemic, 2 * (static_cast<int>(members) - 1));
}

}  // namespace troupe
