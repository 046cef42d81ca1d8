// Leaving: first the voters, then the map, then gossip; each as far as the time allows.
#include <algorithm>
#include <utility>

#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kAgain = absl::Milliseconds(50);  // While the voters change, for example.
constexpr absl::Duration kAskLimit = absl::Seconds(2);

bool Votes(const ClusterState& map, const std::string& node) {
  for (const auto* voters : {&map.voters, &map.pending}) {
    for (const VoterId& voter : *voters) {
      if (voter.node == node) return true;
    }
  }
  return false;
}

bool IsAlone(const ClusterState& map, const std::string& node) {
  return std::none_of(map.nodes.begin(), map.nodes.end(), [&](const NodeEntry& other) {
    return other.name != node && other.state == NodeState::kUp;
  });
}

}  // namespace

// A voter leaves the map only once a set without it is chosen (P2.13); the coordinator sees to that
// when the node is DRAINING.
kj::Promise<void> Membership::Impl::LeaveRegister(absl::Time deadline) {
  const absl::Duration left = deadline - self.Now();
  const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(self.name());
  if (entry == nullptr || entry->boot != self.boot || entry->state == NodeState::kLeft) {
    return kj::READY_NOW;
  }
  if (IsAlone(*maps.map(), self.name())) {
    self.log().Info("the last node leaves: the register ends, or waits on its disk");
    return kj::READY_NOW;
  }
  if (left <= absl::ZeroDuration()) {
    self.log().Warning("leaving without the register's word: the others will find this node dead");
    return kj::READY_NOW;
  }
  const bool drained = entry->state != NodeState::kUp;
  const bool waits = drained && Votes(*maps.map(), self.name());
  kj::Promise<void> step = kj::READY_NOW;
  if (!drained) {
    step = shell.Execute(Drain{entry->name, entry->boot}, std::min(left, kAskLimit))
               .then([](absl::Status&&) {});
  } else if (!waits) {
    step = shell.Execute(troupe::Leave{entry->name, entry->boot}, std::min(left, kAskLimit))
               .then([this](absl::Status&& status) {
                 if (status.ok()) return;
                 self.log().Info("not left yet", {{"reason", std::string(status.message())}});
               });
  }
  return step.then([this] { return self.host.timer().afterDelay(KjWait(kAgain)); })
      .then([this, deadline] { return LeaveRegister(deadline); });
}

kj::Promise<void> Membership::Impl::LeaveGossip() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  leave_done_ = kj::mv(paf.fulfiller);
  gossip.Tell([](Swim& swim, absl::Time now, SwimActions& actions) { swim.Leave(now, actions); });
  return kj::mv(paf.promise);
}

kj::Promise<void> Membership::Impl::Leave(absl::Duration limit) {
  self.leaving = true;
  seeds.Stop();
  shell.StopProposing();
  UpdateOrder();
  return LeaveRegister(self.Now() + limit).then([this, limit] {
    return LeaveGossip().exclusiveJoin(self.host.timer().afterDelay(KjWait(limit)));
  });
}

}  // namespace troupe
