// Node, part two: an orderly end (docs/protocol.md P2.13).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/node.h"
#include "troupe/membership/placement.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kDrainAskLimit = absl::Seconds(2);
constexpr auto kMovePoll = 20 * kj::MILLISECONDS;

}  // namespace

Node::Held Node::HeldStill() const {
  auto map = membership_->map();
  Held held;
  if (membership_->IsAlone()) return held;
  const Copies copies(*map);
  for (const ShardEntry& entry : map->shards) {
    held.last += IsLastCopy(entry, copies, boot_);
    held.movable += entry.primary == boot_ &&
                    std::any_of(entry.isr.begin(), entry.isr.end(),
                                [&](CopyId copy) { return copy != boot_ && copies.IsUp(copy); });
  }
  return held;
}

// Past the deadline only for what would be lost.
kj::Promise<void> Node::WaitUntilMoved(absl::Time deadline) {
  auto& host = machine_.control();
  const Held held = HeldStill();
  const bool late = host.clock().Now() > deadline;
  if (late && held.last > 0) {
    membership_->SayStays(
        absl::StrCat("no other node has a copy yet of ", held.last, " of its shards"));
  } else if (late && held.movable > 0) {
    host.log().Warning("leaving before all shards are handed over", {{"left", held.movable}});
    return kj::READY_NOW;
  } else if (held.last + held.movable == 0) {
    return kj::READY_NOW;
  }
  MoveWhatShouldMove();
  return host.timer().afterDelay(kMovePoll).then(
      [this, deadline] { return WaitUntilMoved(deadline); });
}

kj::Promise<void> Node::Drain(absl::Duration limit) {
  if (boot_ == 0 || !membership_->map()) return kj::READY_NOW;
  auto& host = machine_.control();
  host.log().Info("draining", {{"shards", primaries()}});
  draining_ = true;
  const absl::Time deadline = host.clock().Now() + limit;
  return membership_
      ->Submit(troupe::Drain{options_.membership.node, boot_}, std::min(limit, kDrainAskLimit))
      .catch_([&host](kj::Exception&& e) {
        host.log().Warning("drain is not recorded yet", {{"reason", Words(e)}});
      })
      .then([this, deadline] { return WaitUntilMoved(deadline); })
      .then([this, &host, deadline] {
        return membership_->Leave(std::max(deadline - host.clock().Now(), absl::ZeroDuration()));
      })
      .then([this, &host] {
        machine_.StopWorkers();
        workers_running_ = false;
        host.log().Info("left the cluster");
      });
}

}  // namespace troupe
