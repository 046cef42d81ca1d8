#include "troupe/membership/description.h"

#include <utility>

#include "absl/hash/hash.h"

namespace troupe {

Description DescriptionOf(const Member& member) {
  return {member.id, member.incarnation, member.rpc_address, member.gossip_address,
          member.metadata};
}

bool SameContent(const Description& a, const Member& b) {
  return a.rpc_address == b.rpc_address && a.gossip_address == b.gossip_address &&
         a.metadata == b.metadata;
}

// The nonce is random: what else is said of the same process is told apart by rank nearly always.
size_t DescriptionPool::Hash::operator()(const Description& description) const {
  return absl::HashOf(description.id.nonce, description.id.boot, description.incarnation);
}

std::shared_ptr<const Description> DescriptionPool::Share(Description description) {
  auto at = held_.find(description);
  if (at != held_.end()) return *at;
  if (held_.size() >= look_at_) {
    absl::erase_if(held_, [](const Held& held) { return held.use_count() == 1; });
    look_at_ = 2 * held_.size() + 64;
  }
  return *held_.insert(std::make_shared<const Description>(std::move(description))).first;
}

}  // namespace troupe
