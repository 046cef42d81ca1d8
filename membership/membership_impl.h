// Membership::Impl: joins the parts of membership to one.
//
// Holds them, passes on what one has for another, and decides nothing that a part can decide.
// Threads: the control loop.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/comeback.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/evidence_shell.h"
#include "troupe/membership/founding.h"
#include "troupe/membership/gossip_shell.h"
#include "troupe/membership/lone_founder.h"
#include "troupe/membership/map_spread.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/membership.h"
#include "troupe/membership/operator_desk.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/registrar.h"
#include "troupe/membership/seeds.h"
#include "troupe/membership/self.h"

namespace troupe {

struct Membership::Impl final : private ControlLinks::Watcher,
                                private GossipShell::Owner,
                                private RegisterShell::Owner,
                                private EvidenceShell::Owner,
                                private Founding::Owner,
                                private MapSpread::Owner,
                                private OperatorDesk::Owner,
                                private LoneFounder::Owner,
                                private kj::TaskSet::ErrorHandler {
  Impl(Machine& machine, MembershipOptions options, Membership::Watcher& watcher);

  absl::Status Start(const std::string& bound);
  std::optional<RefusalReason> JudgePeer(const Introduction& theirs);
  void OnEvidence(const std::string& node, Boot boot, Evidence evidence);
  void OnTraffic(const std::string& node, Boot boot);
  kj::Promise<SharedMap> Confirm();
  kj::Promise<void> Leave(absl::Duration patience);
  bool IsAlone() const;
  void SayStays(const std::string& why);
  std::string CoordinatorName() const;

  using Outcast = Membership::Watcher::Outcast;

  Self self;
  Membership::Watcher& watcher;
  MapStore maps;
  ControlLinks links;
  GossipShell gossip;
  RegisterShell shell;
  Registrar registrar;
  Founding founding;
  MapSpread spread;
  EvidenceShell evidence;
  Comeback comeback;
  Seeds seeds;
  OperatorDesk desk;
  LoneFounder lone;
  std::string notice;  // For the operator.

 private:
  // membership_impl.cc: starting, and what a new map brings about.
  absl::Status CheckOptions(const std::string& bound) const;
  absl::Status LoadMap();
  void Begin();
  void Taken(const SharedMap& before);
  void TakenGeneration();
  void CastOut(Outcast outcast);
  void OnOutdated(const std::string& detail);
  void OnUnfit(const std::string& why) override;
  void SayWhatChanged(const SharedMap& before) const;
  void Store();

  // membership_order.cc
  void UpdateOrder();
  void RepairSoon();
  void Repair();
  VoterView ViewOf(const VoterId& voter) const;
  bool SeesQuorum() const;
  kj::Promise<SharedMap> ConfirmRound();

  // membership_events.cc
  void WantLinks();
  void MeasureRoundTrip(const std::string& node);
  void SayStranger(const std::string& what, const SwimNotice& notice);

  // leave.cc
  bool MayEnd() const;
  kj::Promise<void> LeaveRegister(absl::Time patience);
  kj::Promise<void> LeaveGossip();

  // ControlLinks::Watcher
  void OnRequest(LinkNumber from, const Introduction& peer, Frame& frame) override;
  void OnAnswer(const std::string& node, const Introduction& peer, Frame& frame) override;
  void OnPeer(const Introduction& peer) override;
  void OnTraffic(const Introduction& peer) override;
  void OnDialedUp(const std::string& node) override;
  void OnLost(const Introduction& peer, LinkEnd end) override;
  void OnAskerGone(LinkNumber link) override { shell.OnLinkGone(link); }
  void OnDialFailed(const std::string& node, const LinkLoss& loss) override;
  // GossipShell::Owner
  void OnNotice(const SwimNotice& notice) override;
  void OnSeedProblem(const std::string& address, const ControlLinks::Visit& visit) override;
  // RegisterShell::Owner
  void OnChosen(const ClusterState& chosen) override;
  kj::Promise<std::vector<Command>> BeforeRegister(const Register& command) override;
  kj::Promise<bool> LivesAllTheSame(const Register& command) override;
  void NeedMap(const std::string& node, uint64_t version) override;
  // EvidenceShell::Owner
  bool Coordinates() override;
  void OnVerdict() override;
  // Founding::Owner
  std::vector<Member> Seen() const override;
  bool MayFoundAlone() const override;
  void OnFounded(const ValuePtr& value) override;
  // OperatorDesk::Owner; Seen() as above
  void OnRecovered(const ValuePtr& value) override;
  // LoneFounder::Owner
  void OnMeantCluster(const std::string& why, std::vector<std::string> addresses) override;
  // MapSpread::Owner
  void TakeNews(uint64_t base, std::span<const std::byte> bytes) override;

  void taskFailed(kj::Exception&& exception) override;

  // One round of confirming under way, and the promise of the next for whoever asks meanwhile.
  bool confirming_ = false;
  kj::Maybe<kj::ForkedPromise<SharedMap>> next_round_;
  kj::Own<kj::PromiseFulfiller<void>> start_next_round_;
  std::string said_coordinator_;
  std::map<std::string, absl::Time> said_;  // Of strangers: not before.
  bool cast_out_ = false;
  bool unfit_ = false;
  absl::Time outdated_since_ = absl::InfiniteFuture();  // Others refuse us as of an old generation.
  bool storing_ = false;
  SharedMap told_;  // The newest that the watcher knows.
  bool store_again_ = false;
  kj::Own<kj::PromiseFulfiller<void>> leave_done_;
  absl::Time say_stays_again_ = absl::InfinitePast();
  Alarm repair_alarm_;
  Alarm links_alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
