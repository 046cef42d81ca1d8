// Leaving: first the voters, then the map, then gossip (docs/protocol.md P2.13).
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kAgain = absl::Milliseconds(50);  // While the voters change, for example.
constexpr absl::Duration kAskLimit = absl::Seconds(2);
constexpr absl::Duration kGossipLimit = absl::Seconds(2);
constexpr absl::Duration kSayAgain = absl::Seconds(10);

bool Votes(const ClusterState& map, const std::string& node) {
  for (const auto* voters : {&map.voters, &map.pending}) {
    for (const VoterId& voter : *voters) {
      if (voter.node == node) return true;
    }
  }
  return false;
}

}  // namespace

// Nobody is left to whom anything could be handed over, or to say that this node has left.
bool Membership::Impl::IsAlone() const {
  if (cast_out_) return true;  // The others go on without it.
  const ClusterState& map = *maps.map();
  return std::none_of(map.nodes.begin(), map.nodes.end(), [&](const NodeEntry& other) {
    if (other.name == self.name() || other.state != NodeState::kUp) return false;
    const auto member = gossip.swim().Find(other.name);
    return !member || member->id.nonce != other.nonce || member->state != MemberState::kLeft;
  });
}

// Whether there is nothing to ask for, or nobody to ask.
bool Membership::Impl::MayEnd() const {
  const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(self.name());
  if (entry == nullptr || entry->boot != self.boot || entry->state == NodeState::kLeft) return true;
  if (!IsAlone()) return false;
  self.log().Info("the last node leaves: the register ends, or waits on its disk");
  return true;
}

// For ever, if need be: what ends a node against the register's word is its operator.
kj::Promise<void> Membership::Impl::LeaveRegister(absl::Time patience) {
  if (MayEnd()) return kj::READY_NOW;
  const NodeEntry& entry = *maps.map()->FindNode(self.name());
  std::optional<Command> command;
  if (entry.state == NodeState::kUp) {
    command = Drain{entry.name, entry.boot};
  } else if (!Votes(*maps.map(), self.name())) {
    command = troupe::Leave{entry.name, entry.boot};
  }
  const std::string waits = "another voter has to take its place";
  kj::Promise<absl::Status> asked = command
                                        ? shell.Execute(*std::move(command), kAskLimit)
                                        : kj::Promise<absl::Status>(absl::UnavailableError(waits));
  return asked
      .then([this, patience](absl::Status&& status) {
        if (!status.ok() && self.Now() >= patience) SayStays(std::string(status.message()));
        return self.host.timer().afterDelay(KjWait(kAgain));
      })
      .then([this, patience] { return LeaveRegister(patience); });
}

void Membership::Impl::SayStays(const std::string& why) {
  notice = absl::StrCat("told to end, but it may not leave yet: ", why,
                        ". It serves on; a second signal ends it at once");
  if (self.Now() < say_stays_again_) return;
  say_stays_again_ = self.Now() + kSayAgain;
  self.log().Warning(notice);
}

kj::Promise<void> Membership::Impl::LeaveGossip() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  leave_done_ = kj::mv(paf.fulfiller);
  gossip.Tell([](Swim& swim, absl::Time now, SwimActions& actions) { swim.Leave(now, actions); });
  return kj::mv(paf.promise);
}

kj::Promise<void> Membership::Impl::Leave(absl::Duration patience) {
  return LeaveRegister(self.Now() + patience).then([this] {
    notice.clear();
    self.leaving = true;
    seeds.Stop();
    shell.StopProposing();
    UpdateOrder();
    return LeaveGossip().exclusiveJoin(self.host.timer().afterDelay(KjWait(kGossipLimit)));
  });
}

}  // namespace troupe
