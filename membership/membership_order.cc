// Who coordinates, what the coordinator does, and what others ask of it through this node.
#include <algorithm>
#include <utility>

#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr absl::Duration kRepairDelay = absl::Milliseconds(20);   // Changes come in bursts.
constexpr absl::Duration kRepairAgain = absl::Milliseconds(500);  // What was refused, or is new.
constexpr size_t kRepairsAtOnce = 256;
constexpr absl::Duration kConfirmLimit = absl::Seconds(10);

}  // namespace

// ---- Who coordinates

VoterView Membership::Impl::ViewOf(const VoterId& voter) const {
  VoterView view{voter, VoterView::Health::kAlive, maps.version()};
  if (voter.node == self.name()) {
    if (voter != self.voter() || self.leaving) view.health = VoterView::Health::kGone;
    return view;
  }
  auto member = gossip.swim().Find(voter.node);
  const NodeEntry* entry = maps.map()->FindNode(voter.node);
  // A voter in memory is that very process; on disk, any process of its name may be it.
  const bool in_memory = entry == nullptr || entry->storage != voter.id;
  const bool replaced = in_memory && entry != nullptr && entry->nonce != voter.id;
  const bool here = member && member->IsHere() && (!in_memory || member->id.nonce == voter.id);
  const bool gone =
      entry != nullptr && member && entry->nonce == member->id.nonce && evidence.IsGone(voter.node);
  if (!here || gone || replaced) view.health = VoterView::Health::kGone;
  return view;
}

void Membership::Impl::UpdateOrder() {
  if (maps.map() == nullptr) return;
  std::vector<VoterView> views;
  for (const VoterId& voter : maps.map()->voters) views.push_back(ViewOf(voter));
  shell.SetOrder(CoordinatorOrder(*maps.map(), views));
  const std::string name = CoordinatorName();
  if (name == said_coordinator_) return;
  said_coordinator_ = name;
  self.log().Info("coordinator is now", {{"name", name}});
  evidence.OnNewOrder();
  RepairSoon();
}

std::string Membership::Impl::CoordinatorName() const {
  return shell.order().empty() ? "" : shell.order().front().node;
}

bool Membership::Impl::Coordinates() {
  UpdateOrder();
  return !shell.order().empty() && shell.order().front() == self.voter() && !self.leaving &&
         SeesQuorum();
}

// Without a majority in sight nothing can be chosen, and what is proposed all the same would be
// when they are back: fences of those who were never dead. Here a suspect is not in sight.
bool Membership::Impl::SeesQuorum() const {
  auto majority = [this](const std::vector<VoterId>& voters) {
    auto seen = std::count_if(voters.begin(), voters.end(), [this](const VoterId& voter) {
      if (voter.node == self.name()) return voter == self.voter();
      auto member = gossip.swim().Find(voter.node);
      return ViewOf(voter).health == VoterView::Health::kAlive &&
             member->state == MemberState::kAlive;
    });
    return voters.empty() || 2 * static_cast<size_t>(seen) > voters.size();
  };
  return majority(maps.map()->voters) && majority(maps.map()->pending);
}

void Membership::Impl::OnVerdict() { UpdateOrder(); }

void Membership::Impl::RepairSoon() { repair_alarm_.SetNoLaterThan(self.Now() + kRepairDelay); }

void Membership::Impl::Repair() {
  if (maps.map() == nullptr) return;
  repair_alarm_.SetNoLaterThan(self.Now() + kRepairAgain);
  if (Coordinates()) shell.Propose(PlanRepairs(*maps.map(), kRepairsAtOnce));
}

kj::Promise<bool> Membership::Impl::LivesAllTheSame(const Register& command) {
  const NodeEntry* old = maps.map()->FindNode(command.node);
  if (old == nullptr || old->nonce == command.nonce || !command.holds_data_lock) return false;
  return evidence.Answers(*old);
}

kj::Promise<std::vector<Command>> Membership::Impl::BeforeRegister(const Register& command) {
  const NodeEntry* old = maps.map()->FindNode(command.node);
  if (old == nullptr || old->nonce == command.nonce || command.holds_data_lock) {
    return std::vector<Command>();
  }
  return evidence.FenceIfDead(*old);
}

// ---- What the node's other loops ask

// A round that is under way began before this call and proves nothing to it; the next one does.
kj::Promise<SharedMap> Membership::Impl::Confirm() {
  if (!confirming_) return ConfirmRound();
  KJ_IF_MAYBE (next, next_round_) return next->addBranch();
  auto paf = kj::newPromiseAndFulfiller<void>();
  start_next_round_ = kj::mv(paf.fulfiller);
  auto next = paf.promise.then([this] { return ConfirmRound(); }).fork();
  auto branch = next.addBranch();
  tasks_.add(next.addBranch().ignoreResult().catch_([](kj::Exception&&) {}));  // Keeps it alive.
  next_round_ = kj::mv(next);
  return branch;
}

kj::Promise<SharedMap> Membership::Impl::ConfirmRound() {
  confirming_ = true;
  next_round_ = nullptr;  // Whoever comes from now on is too late for this one.
  auto done = shell.Execute(std::nullopt, kConfirmLimit).fork();
  // Not the callers' promises: the next round begins even if they have gone.
  tasks_.add(done.addBranch().then([this](absl::Status) {
    confirming_ = false;
    if (start_next_round_.get() != nullptr) {
      auto start = kj::mv(start_next_round_);
      start->fulfill();
    }
  }));
  return done.addBranch().then([this](absl::Status status) -> kj::Promise<SharedMap> {
    if (!status.ok()) return ToException(status);
    return maps.map();
  });
}

void Membership::Impl::OnEvidence(const std::string& node, Boot boot, Evidence seen) {
  switch (seen) {
    case Evidence::kClosed:
      return evidence.OnLost(node, boot, LinkEnd::kClosed);
    case Evidence::kReset:
      return evidence.OnLost(node, boot, LinkEnd::kReset);
    case Evidence::kRefused:
      return evidence.OnRefused(node, boot);
    case Evidence::kUnreachable:
      return evidence.OnUnreachable(node, boot);
  }
}

void Membership::Impl::OnTraffic(const std::string& node, Boot boot) {
  const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(node);
  if (entry == nullptr || entry->boot != boot) return;
  gossip.Tell(
      [&](Swim& swim, absl::Time now, SwimActions&) { swim.OnTraffic(now, node, entry->nonce); });
}

}  // namespace troupe