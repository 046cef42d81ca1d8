// What links and gossip tell, passed on to the parts that care.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/membership/membership_impl.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kRoundTripLimit = absl::Seconds(5);
constexpr absl::Duration kSayAgain = absl::Seconds(60);
constexpr size_t kSaidMax = 1024;  // Strangers; then they are forgotten and said again.

}  // namespace

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
  lone.OnHello(theirs);
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
    case control::KIND_PUSH_PULL:
      return gossip.OnPushPull(from, peer, frame);
    case control::KIND_LINK_PROBE: {
      capnp::MallocMessageBuilder message;
      auto out = message.initRoot<control::LinkProbeAnswer>();
      out.setNumber(frame.header<control::LinkProbe>().getNumber());
      codec::WriteId(self.nonce, out.initNonce());
      const Introduction* back = links.PeerOf(peer.node);
      out.setReachesAsker(back != nullptr && back->nonce == peer.nonce);
      return links.Answer(from, control::KIND_LINK_PROBE_ANSWER, message);
    }
    case control::KIND_VOTER_REQUEST:
      return shell.OnVoterRequest(from, frame);
    case control::KIND_COMMANDS:
      return shell.OnCommands(from, peer, frame);
    case control::KIND_MAP_NEWS:
      return spread.OnNews(peer, frame);
    case control::KIND_MAP_PULL:
      return spread.OnPull(from, frame);
    case control::KIND_EVIDENCE:
      return evidence.OnReport(peer, frame);
    case control::KIND_FOUNDING:
      return founding.OnRequest(from, peer, frame);
    case control::KIND_OPERATOR:
      return desk.OnRequest(from, frame);
    case control::KIND_SURVEY:
      return desk.OnSurvey(from, peer, frame);
    default:
      return;  // A newer node's.
  }
}

void Membership::Impl::OnAnswer(const std::string& node, const Introduction&, Frame& frame) {
  if (frame.kind() == control::KIND_VOTER_REPLY) return shell.OnVoterReply(node, frame);
  if (frame.kind() == control::KIND_COMMAND_REPLIES) return shell.OnCommandReplies(node, frame);
}

void Membership::Impl::OnPeer(const Introduction& peer) { evidence.OnPeer(peer); }

void Membership::Impl::OnTraffic(const Introduction& peer) {
  gossip.Tell([&](Swim& swim, absl::Time now, SwimActions&) {
    swim.OnTraffic(now, peer.node, peer.nonce);
  });
}

// How long a voter may take to answer before the next is asked (P2.7).
void Membership::Impl::MeasureRoundTrip(const std::string& node) {
  capnp::MallocMessageBuilder message;
  const uint64_t number = links.NextNumber();
  message.initRoot<control::LinkProbe>().setNumber(number);
  const absl::Time sent = self.Now();
  tasks_.add(
      links.Call(node, control::KIND_LINK_PROBE, number, message, kRoundTripLimit)
          .then([this, node, sent](kj::Own<Frame>) { shell.SetRoundTrip(node, self.Now() - sent); })
          .catch_([](kj::Exception&&) {}));
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
    if (*loss.refused == wire::Refusal::Reason::GENERATION) OnOutdated(loss.detail);
  }
  if (loss.dial != DialOutcome::kRefused || maps.map() == nullptr) return;
  const NodeEntry* entry = maps.map()->FindNode(node);
  if (entry == nullptr) return;
  auto member = gossip.swim().Find(node);
  if (member && member->id.nonce == entry->nonce) evidence.OnRefused(node, entry->boot);
}

// ---- Gossip

void Membership::Impl::SayStranger(const std::string& what, const SwimNotice& notice) {
  if (said_.size() > kSaidMax) said_.clear();
  auto& until = said_[absl::StrCat(what, notice.address)];
  if (self.Now() < until) return;
  until = self.Now() + kSayAgain;
  self.log().Warning(
      what,
      {{"node", notice.member.id.name}, {"address", notice.address}, {"detail", notice.detail}});
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
      evidence.OnSuspected(name, notice.member.id.nonce);
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
      // Where there is a register it decides, and the one that is refused says so; a restart is
      // faster than gossip. Founders have none.
      if (maps.map() == nullptr && self.cluster.IsZero()) {
        SayStranger("two nodes with one name, found no cluster with them", notice);
      }
      return;
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
  if (visit.dialed.refused == wire::Refusal::Reason::GENERATION) OnOutdated(visit.problem);
}

std::vector<Member> Membership::Impl::Seen() const { return gossip.swim().Members(); }

bool Membership::Impl::MayFoundAlone() const { return seeds.none(); }

}  // namespace troupe
