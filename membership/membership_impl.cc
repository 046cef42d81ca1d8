#include "troupe/membership/membership_impl.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr char kMapRecord[] = "map";
constexpr absl::Duration kRepairDelay = absl::Milliseconds(20);   // Changes come in bursts.
constexpr absl::Duration kRepairAgain = absl::Milliseconds(500);  // What was refused, or is new.
constexpr size_t kRepairsAtOnce = 256;
constexpr absl::Duration kConfirmLimit = absl::Seconds(10);
constexpr absl::Duration kRoundTripLimit = absl::Seconds(5);
constexpr absl::Duration kLinksLook = absl::Seconds(1);
constexpr absl::Duration kSayAgain = absl::Seconds(60);

const char* Name(NodeState state) {
  switch (state) {
    case NodeState::kUp:
      return "UP";
    case NodeState::kDraining:
      return "DRAINING";
    case NodeState::kFenced:
      return "FENCED";
    case NodeState::kLeft:
      return "LEFT";
  }
  return "?";
}

bool IsAnyHost(const std::string& address) {
  return address.rfind("0.0.0.0:", 0) == 0 || address.rfind("[::]:", 0) == 0;
}

}  // namespace

Membership::Impl::Impl(Machine& machine, MembershipOptions options, Membership::Watcher& w)
    : self(machine, std::move(options)),
      watcher(w),
      links(self, static_cast<ControlLinks::Watcher&>(*this)),
      gossip(self, links, static_cast<GossipShell::Owner&>(*this)),
      shell(self, links, maps, static_cast<RegisterShell::Owner&>(*this)),
      registrar(self, maps, shell),
      founding(self, links, maps, shell, static_cast<Founding::Owner&>(*this)),
      spread(self, links, maps, static_cast<MapSpread::Owner&>(*this)),
      evidence(self, links, gossip, maps, shell, static_cast<EvidenceShell::Owner&>(*this)),
      comeback(self, links, maps, shell),
      seeds(self,
            [this](std::vector<std::string> addresses) {
              gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
                swim.Join(now, std::move(addresses));
              });
              founding.OnNewView();
            }),
      repair_alarm_(self.host, [this] { Repair(); }),
      links_alarm_(self.host,
                   [this] {
                     WantLinks();
                     UpdateOrder();
                     links_alarm_.Set(self.Now() + kLinksLook);
                   }),
      tasks_(*this) {
  self.nonce = self.host.RandomId();
}

void Membership::Impl::taskFailed(kj::Exception&& exception) {
  self.log().Error("membership task failed", {{"error", Words(exception)}});
}

// ---- Start

absl::Status Membership::Impl::CheckOptions(const std::string& bound) const {
  const MembershipOptions& options = self.options;
  if (options.expect == 0) return absl::InvalidArgumentError("--expect must be at least 1");
  if (options.expect > 1 && 2 * size_t{options.expect} <= options.seeds.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--expect must exceed half the seeds, or two clusters could be founded: expected more than ",
        options.seeds.size() / 2, ", got ", options.expect));
  }
  if (IsAnyHost(self.address) && !(options.seeds.empty() && options.expect == 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "others cannot dial ", bound, ": give --advertise, or an address in --listen"));
  }
  return absl::OkStatus();
}

absl::Status Membership::Impl::LoadMap() {
  auto* directory = self.machine.data_directory();
  if (directory == nullptr) return absl::OkStatus();
  auto record = directory->Read(kMapRecord);
  if (!record.ok()) return record.status();
  if (record->has_value()) {
    auto value = ValueOf(**record);
    absl::Status adopted = value.status();
    if (value.ok()) adopted = maps.Adopt(*value).status();
    if (!adopted.ok()) {
      return absl::DataLossError(absl::StrCat("record \"map\" of the data directory: ",
                                              std::string(adopted.message())));
    }
  }
  const ValuePtr& chosen = shell.acceptor().chosen;
  if (chosen != nullptr && chosen->version > maps.version()) return maps.Adopt(chosen).status();
  return absl::OkStatus();
}

absl::Status Membership::Impl::Start(const std::string& bound) {
  self.address = self.options.advertise.empty() ? bound : self.options.advertise;
  absl::Status status = CheckOptions(bound);
  if (status.ok()) status = registrar.Load();
  if (status.ok()) status = shell.Load();
  if (status.ok()) status = LoadMap();
  if (!status.ok()) return status;
  if (maps.map() != nullptr) {
    self.cluster = maps.map()->cluster;
    self.generation = maps.map()->generation;
    self.map_version = maps.version();
  }
  status = gossip.Start(bound, Founding::Metadata(self.options.expect));
  if (!status.ok()) return status;
  tasks_.add(registrar.Prepare().then([this] { Begin(); }, [this](kj::Exception&& e) {
    self.log().Error("the data directory cannot be written: this node does not join",
                     {{"error", Words(e)}});
  }));
  return absl::OkStatus();
}

void Membership::Impl::Begin() {
  std::vector<std::string> known;
  if (maps.map() != nullptr) {
    for (const NodeEntry& node : maps.map()->nodes) {
      if (node.name != self.name() && !node.addresses.empty()) {
        known.push_back(node.addresses.front());
      }
    }
    self.log().Info("the data directory knows a cluster",
                    {{"cluster", self.cluster.ToString()}, {"version", maps.version()}});
  }
  seeds.Start(std::move(known));
  links_alarm_.Set(self.Now() + kLinksLook);
  if (maps.map() != nullptr) {
    Taken(nullptr);
  } else {
    founding.Start();
  }
}

// ---- Maps

void Membership::Impl::OnFounded(const ValuePtr& value) {
  if (maps.map() != nullptr) return;
  const SharedMap before = maps.map();
  if (!maps.Adopt(value).ok()) return;
  self.log().Info("cluster founded", {{"cluster", maps.map()->cluster.ToString()},
                                      {"nodes", maps.map()->nodes.size()}});
  Taken(before);
  spread.TellAll();
}

void Membership::Impl::OnChosen(const ClusterState& chosen) {
  const SharedMap before = maps.map();
  auto adopted = maps.Adopt(ValueOf(chosen));
  if (!adopted.ok() || !*adopted) return;
  spread.TellAll();
  Taken(before);
}

void Membership::Impl::TakeNews(uint64_t base, std::span<const std::byte> bytes) {
  const SharedMap before = maps.map();
  if (before == nullptr && founding.bound()) {
    // Only what it is bound to; it learns of the rest by asking.
    auto state = DecodeClusterState(bytes);
    if (!state.ok() || !founding.IsBoundTo(state->cluster)) return;
  }
  auto adopted = maps.Adopt(base, bytes);
  if (!adopted.ok()) {
    self.log().Warning("map not taken", {{"reason", std::string(adopted.status().message())}});
  } else if (*adopted) {
    Taken(before);
  }
}

// Everything that follows from a newer map, parts first, then the watcher.
void Membership::Impl::Taken(const SharedMap& before) {
  const SharedMap map = maps.map();
  self.cluster = map->cluster;
  self.generation = map->generation;
  self.map_version = map->version;
  gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
    swim.SetCluster(map->cluster);
    swim.SetMapVersion(now, map->version);
  });
  SayWhatChanged(before);
  Store();
  spread.OnNewMap();
  evidence.OnNewMap();
  WantLinks();
  shell.OnNewMap();
  UpdateOrder();
  comeback.OnNewMap();
  repair_alarm_.SetNoLaterThan(self.Now() + kRepairDelay);
  if (registrar.OnNewMap()) {
    seeds.Stop();
    gossip.Tell([this](Swim& swim, absl::Time now, SwimActions&) { swim.SetBoot(now, self.boot); });
    watcher.OnRegistered(self.boot);
  }
  if (map == maps.map()) watcher.OnMap(map);  // Else a newer one was told meanwhile.
}

void Membership::Impl::SayWhatChanged(const SharedMap& before) const {
  for (const NodeEntry& node : maps.map()->nodes) {
    const NodeEntry* old = before == nullptr ? nullptr : before->FindNode(node.name);
    if (old != nullptr && old->boot == node.boot && old->state == node.state) continue;
    self.log().Info("node is now", {{"name", node.name},
                                    {"boot", node.boot},
                                    {"state", Name(node.state)},
                                    {"version", maps.version()}});
  }
  const auto up = std::count_if(maps.map()->nodes.begin(), maps.map()->nodes.end(),
                                [](const NodeEntry& node) { return node.state == NodeState::kUp; });
  const bool voters_changed = before == nullptr || before->voters != maps.map()->voters;
  if (up == 2 && maps.map()->nodes.size() == 2 && voters_changed) {
    self.log().Info("two nodes survive only the loss of the one that does not vote; three are safe");
  }
  if (voters_changed) {
    self.log().Info("voters", {{"names", absl::StrJoin(maps.map()->voters, ",",
                                                       [](std::string* out, const VoterId& v) {
                                                         absl::StrAppend(out, v.node);
                                                       })}});
  }
}

// The last map, for the next start; one write at a time.
void Membership::Impl::Store() {
  auto* directory = self.machine.data_directory();
  if (directory == nullptr) return;
  store_again_ = storing_;
  if (storing_) return;
  storing_ = true;
  tasks_.add(directory->Write(kMapRecord, maps.value()->contents)
                 .catch_([this](kj::Exception&& e) {
                   self.log().Warning("the map is not on disk", {{"error", Words(e)}});
                 })
                 .then([this] {
                   storing_ = false;
                   if (store_again_) Store();
                 }));
}

void Membership::Impl::NeedMap(const std::string& node, uint64_t version) {
  spread.Heard(node, version, MapSpread::Patience::kAMoment);
}

// ---- Links

// To everybody whom gossip sees, and whom the map names: the fenced may come back.
void Membership::Impl::WantLinks() {
  std::set<std::string> wanted;
  for (const Member& member : gossip.swim().Members()) {
    if (!member.IsHere() || member.id.name == self.name() || member.rpc_address.empty()) continue;
    wanted.insert(member.id.name);
    links.Want(member.id.name, member.rpc_address, member.id.boot);
  }
  if (maps.map() != nullptr) {
    for (const NodeEntry& node : maps.map()->nodes) {
      if (node.state == NodeState::kLeft || node.name == self.name() || node.addresses.empty()) {
        continue;
      }
      if (wanted.insert(node.name).second) links.Want(node.name, node.addresses.front(), node.boot);
    }
  }
  for (const std::string& node : links.wanted()) {
    if (!wanted.contains(node)) links.Forget(node);
  }
}

std::optional<RefusalReason> Membership::Impl::JudgePeer(const Introduction& theirs) {
  if (theirs.role != Role::kNode) return std::nullopt;
  if (theirs.node == self.name()) {
    return RefusalReason{wire::Refusal::Reason::STALE,
                         absl::StrCat("two nodes with one name: ", self.name(),
                                      " is in use by boot ", self.boot, " at ", self.address)};
  }
  const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(theirs.node);
  if (entry != nullptr && entry->nonce != theirs.nonce && theirs.boot != 0 &&
      theirs.boot < entry->boot) {
    return RefusalReason{wire::Refusal::Reason::STALE,
                         absl::StrCat("node ", theirs.node, " is boot ", entry->boot,
                                      " by now; boot ", theirs.boot, " was replaced")};
  }
  return std::nullopt;
}

void Membership::Impl::OnRequest(LinkNumber from, const Introduction& peer, Frame& frame) {
  switch (frame.kind()) {
    case wire::control::KIND_PUSH_PULL:
      return gossip.OnPushPull(from, peer, frame);
    case wire::control::KIND_LINK_PROBE: {
      capnp::MallocMessageBuilder message;
      auto out = message.initRoot<wire::control::LinkProbeAnswer>();
      out.setNumber(frame.header<wire::control::LinkProbe>().getNumber());
      codec::WriteId(self.nonce, out.initNonce());
      const Introduction* back = links.PeerOf(peer.node);
      out.setReachesAsker(back != nullptr && back->nonce == peer.nonce);
      return links.Answer(from, wire::control::KIND_LINK_PROBE_ANSWER, message);
    }
    case wire::control::KIND_VOTER_REQUEST:
      return shell.OnVoterRequest(from, frame);
    case wire::control::KIND_COMMANDS:
      return shell.OnCommands(from, peer, frame);
    case wire::control::KIND_MAP_NEWS:
      return spread.OnNews(peer, frame);
    case wire::control::KIND_MAP_PULL:
      return spread.OnPull(from, frame);
    case wire::control::KIND_EVIDENCE:
      return evidence.OnReport(peer, frame);
    case wire::control::KIND_FOUNDING:
      return founding.OnRequest(from, peer, frame);
    default:
      return;  // A newer node's.
  }
}

void Membership::Impl::OnAnswer(const std::string& node, const Introduction&, Frame& frame) {
  if (frame.kind() == wire::control::KIND_VOTER_REPLY) return shell.OnVoterReply(node, frame);
  if (frame.kind() == wire::control::KIND_COMMAND_REPLIES) return shell.OnCommandReplies(node, frame);
}

void Membership::Impl::OnPeer(const Introduction& peer) { evidence.OnPeer(peer); }

void Membership::Impl::OnTraffic(const Introduction& peer) {
  gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
    swim.OnTraffic(now, peer.node, peer.nonce);
  });
}

void Membership::Impl::OnDialedUp(const std::string& node) {
  spread.OnDialedUp(node);
  MeasureRoundTrip(node);
  founding.OnNewView();
}

void Membership::Impl::OnLost(const Introduction& peer, LinkEnd end) {
  shell.OnVoterLost(peer.node);
  if (maps.map() == nullptr) return;
  const NodeEntry* entry = maps.map()->FindNode(peer.node);
  if (entry != nullptr && entry->nonce == peer.nonce) evidence.OnLost(peer.node, entry->boot, end);
}

void Membership::Impl::OnDialFailed(const std::string& node, const LinkLoss& loss) {
  if (loss.refused && *loss.refused != wire::Refusal::Reason::WRONG_TARGET) {
    SwimNotice notice;
    notice.address = node;
    notice.detail = loss.detail;
    SayStranger("a node refuses our link", notice);
  }
  if (loss.dial != DialOutcome::kRefused || maps.map() == nullptr) return;
  const NodeEntry* entry = maps.map()->FindNode(node);
  if (entry == nullptr) return;
  auto member = gossip.swim().Find(node);
  if (member && member->id.nonce == entry->nonce) evidence.OnRefused(node, entry->boot);
}

// ---- Gossip

void Membership::Impl::SayStranger(const std::string& what, const SwimNotice& notice) {
  auto& until = said_[absl::StrCat(what, notice.address)];
  if (self.Now() < until) return;
  if (said_.size() > 1024) return said_.clear();
  until = self.Now() + kSayAgain;
  self.log().Warning(what, {{"node", notice.member.id.name},
                            {"address", notice.address},
                            {"detail", notice.detail}});
}

void Membership::Impl::OnNotice(const SwimNotice& notice) {
  using Kind = SwimNotice::Kind;
  const std::string& name = notice.member.id.name;
  switch (notice.kind) {
    case Kind::kJoined:
    case Kind::kReplaced:
    case Kind::kUpdated:
    case Kind::kLeft:
      self.log().Debug("gossip", {{"name", name}, {"state", ToString(notice.member.state)}});
      break;
    case Kind::kSuspected:
      self.log().Info("member suspected", {{"name", name}, {"by", notice.member.accuser}});
      break;
    case Kind::kDied: {
      self.log().Warning("member found dead", {{"name", name}, {"boot", notice.member.id.boot}});
      const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(name);
      if (entry != nullptr && entry->nonce == notice.member.id.nonce) {
        evidence.OnDied(name, entry->boot);
      }
      break;
    }
    case Kind::kRefused: {
      const NodeEntry* entry = maps.map() == nullptr ? nullptr : maps.map()->FindNode(name);
      if (entry != nullptr && entry->nonce == notice.member.id.nonce && notice.detail == "udp") {
        evidence.OnRefused(name, entry->boot);
      }
      return;
    }
    case Kind::kClusterLearned:
      self.cluster = gossip.swim().cluster();
      break;
    case Kind::kLeaveDone:
      if (leave_done_.get() != nullptr) leave_done_->fulfill();
      return;
    case Kind::kConflict:
    case Kind::kNameHeld:
      return SayStranger("two nodes with one name", notice);
    case Kind::kSuperseded:
      return SayStranger("another process has this node's name", notice);
    case Kind::kWrongCluster:
      return SayStranger("a node of another cluster", notice);
    case Kind::kWrongVersion:
      return SayStranger("a node of another protocol version", notice);
    case Kind::kMapVersion:
    case Kind::kRefuted:
    case Kind::kAccused:
    case Kind::kJoinedCluster:
    case Kind::kSeedFailed:
    case Kind::kProbeAnswered:
    case Kind::kProbeFailed:
    case Kind::kNoDatagrams:
      break;
  }
  if (notice.member.map_version > maps.version() && !name.empty()) {
    spread.Heard(name, notice.member.map_version, MapSpread::Patience::kAMoment);
  }
  if (notice.kind == Kind::kJoined || notice.kind == Kind::kRefuted) {
    evidence.OnAlive(name, notice.member.id.nonce);
  }
  WantLinks();
  UpdateOrder();
  if (maps.map() == nullptr) founding.OnNewView();
}

void Membership::Impl::OnSeedProblem(const std::string& address, const ControlLinks::Visit& visit) {
  seeds.OnProblem(address, visit);
}

std::vector<Member> Membership::Impl::Seen() const { return gossip.swim().Members(); }

bool Membership::Impl::MayFoundAlone() const { return seeds.none(); }

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
  const bool here = member && member->IsHere() && (!in_memory || member->id.nonce == voter.id);
  const bool gone = entry != nullptr && member && entry->nonce == member->id.nonce &&
                    evidence.IsGone(voter.node);
  if (!here || gone) view.health = VoterView::Health::kGone;
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
  repair_alarm_.SetNoLaterThan(self.Now() + kRepairDelay);
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

void Membership::Impl::Repair() {
  if (maps.map() == nullptr) return;
  repair_alarm_.SetNoLaterThan(self.Now() + kRepairAgain);
  if (Coordinates()) shell.Propose(PlanRepairs(*maps.map(), kRepairsAtOnce));
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

// How long a voter may take to answer before the next is asked (P2.7).
void Membership::Impl::MeasureRoundTrip(const std::string& node) {
  capnp::MallocMessageBuilder message;
  const uint64_t number = links.NextNumber();
  message.initRoot<wire::control::LinkProbe>().setNumber(number);
  const absl::Time sent = self.Now();
  tasks_.add(links.Call(node, wire::control::KIND_LINK_PROBE, number, message, kRoundTripLimit)
                 .then([this, node, sent](kj::Own<Frame>) {
                   shell.SetRoundTrip(node, self.Now() - sent);
                 })
                 .catch_([](kj::Exception&&) {}));
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
  gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
    swim.OnTraffic(now, node, entry->nonce);
  });
}

}  // namespace troupe
