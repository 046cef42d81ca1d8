#include "troupe/membership/evidence_shell.h"

#include <algorithm>
#include <utility>

#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kDialLimit = absl::Milliseconds(100);
constexpr absl::Duration kAskLimit = absl::Milliseconds(200);
constexpr absl::Duration kTransitMax = absl::Milliseconds(500);
constexpr absl::Duration kReportAgain = absl::Milliseconds(50);
// So long strong evidence about a process of this computer waits for proof, which spares the wait
// for its leases.
constexpr absl::Duration kProofWait = absl::Milliseconds(20);
constexpr int kHealthMax = 2;          // Beyond it our own network is the likelier culprit.
constexpr size_t kLookAroundMax = 32;  // Probes at once; what is beyond, the ring finds.
constexpr absl::Duration kAbsenceLook = absl::Milliseconds(500);

control::Evidence::Kind Encode(Sighting kind) {
  switch (kind) {
    case Sighting::kLost:
      return control::Evidence::Kind::LOST;
    case Sighting::kRefused:
      return control::Evidence::Kind::REFUSED;
    case Sighting::kExited:
    case Sighting::kDead:
    case Sighting::kSuspected:
      break;  // The last two gossip spreads.
  }
  return control::Evidence::Kind::EXITED;
}

std::optional<Sighting> Decode(control::Evidence::Kind kind) {
  switch (kind) {
    case control::Evidence::Kind::LOST:
      return Sighting::kLost;
    case control::Evidence::Kind::REFUSED:
      return Sighting::kRefused;
    case control::Evidence::Kind::EXITED:
      return Sighting::kExited;
  }
  return std::nullopt;  // A newer node's.
}

const char* Name(Sighting kind) {
  switch (kind) {
    case Sighting::kLost:
      return "link lost";
    case Sighting::kRefused:
      return "refused";
    case Sighting::kExited:
      return "process ended";
    case Sighting::kDead:
      return "silent";
    case Sighting::kSuspected:
      return "suspected";
  }
  return "?";
}

EvidenceOptions OptionsOf(const Self& self) {
  EvidenceOptions options;
  options.trust_refused = self.options.trust_refused;
  options.hold_links = kDialLimit;
  options.hold_silent = self.options.swim.suspicion_mult * self.options.swim.probe_interval;
  return options;
}

}  // namespace

EvidenceShell::EvidenceShell(Self& self, ControlLinks& links, GossipShell& gossip, MapStore& maps,
                             RegisterShell& shell, Owner& owner)
    : self_(self),
      links_(links),
      gossip_(gossip),
      maps_(maps),
      shell_(shell),
      owner_(owner),
      board_(OptionsOf(self)),
      alarm_(self.host, [this] { Cut(); }),
      absence_alarm_(self.host, [this] { LookForAbsent(); }),
      tasks_(*this) {}

void EvidenceShell::taskFailed(kj::Exception&& exception) {
  self_.log().Error("evidence task failed", {{"error", Words(exception)}});
}

Boot EvidenceShell::Current(const std::string& node, Boot boot) const {
  if (maps_.map() == nullptr || node == self_.name()) return 0;
  const NodeEntry* entry = maps_.map()->FindNode(node);
  if (entry == nullptr || entry->boot != boot) return 0;
  const bool lives = entry->state == NodeState::kUp || entry->state == NodeState::kDraining;
  return lives ? boot : 0;
}

absl::Time EvidenceShell::LastSign(const std::string& node) const {
  const NodeEntry* entry = maps_.map()->FindNode(node);
  if (entry == nullptr) return absl::InfinitePast();
  return gossip_.swim().LastSignOf(node, entry->nonce);
}

EvidenceBoard::LastSign EvidenceShell::Signs() const {
  return [this](const std::string& node) { return LastSign(node); };
}

// ---- What this node sees.

void EvidenceShell::OnPeer(const Introduction& peer) {
  if (peer.role != Role::kNode || peer.process.pid == 0) return;
  if (watched_.contains({peer.node, peer.nonce})) return;
  auto exit = self_.machine.WatchExit(peer.process);
  if (!exit) return;
  watched_.insert({peer.node, peer.nonce});
  tasks_.add(exit->then([this, node = peer.node, nonce = peer.nonce] {
    watched_.erase({node, nonce});
    if (maps_.map() == nullptr) return;
    const NodeEntry* entry = maps_.map()->FindNode(node);
    if (entry == nullptr || entry->nonce != nonce) return;
    if (Current(node, entry->boot) != 0) Report(node, entry->boot, Sighting::kExited);
  }));
}

void EvidenceShell::OnLost(const std::string& node, Boot boot, LinkEnd end) {
  if (Current(node, boot) == 0) return;
  const NodeEntry entry = *maps_.map()->FindNode(node);
  Probe(node, entry.nonce, end);
  // A link that was replaced, or that ended by itself, while another with that process lives. Who
  // dies loses all of them, and the last one tells.
  if (links_.HasLinkOf(node, entry.nonce)) return;
  if (gossip_.swim().health() > kHealthMax) return;
  Report(node, boot, Sighting::kLost);
  DialAgain(entry);
}

// One end of a link is weak evidence: probe at once, directly and through others.
void EvidenceShell::Probe(const std::string& node, const Id128& nonce, LinkEnd end) {
  gossip_.Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
    swim.OnLinkLost(now, node, nonce,
                    end == LinkEnd::kReset ? Swim::LinkEnd::kReset : Swim::LinkEnd::kEof, actions);
  });
}

void EvidenceShell::OnUnreachable(const std::string& node, Boot boot) {
  if (Current(node, boot) != 0) Probe(node, maps_.map()->FindNode(node)->nonce, LinkEnd::kReset);
}

// A fresh socket: what an old one says may be old.
void EvidenceShell::DialAgain(const NodeEntry& node) {
  if (node.addresses.empty() || !dialing_.insert(node.name).second) return;
  const absl::Time begun = self_.Now();
  auto dialed = self_.host.network().Dial(node.addresses.front(), kDialLimit);
  tasks_.add(dialed.then(
      [this, name = node.name, boot = node.boot, nonce = node.nonce, begun](Dialed&& dialed) {
        dialing_.erase(name);
        if (dialed.outcome != DialOutcome::kRefused) return;
        if (gossip_.swim().LastSignOf(name, nonce) > begun) return;
        gossip_.Tell([&](Swim& swim, absl::Time now, SwimActions& actions) {
          swim.OnPeerRefused(now, name, nonce, actions);
        });
        OnRefused(name, boot);
      }));
}

void EvidenceShell::OnRefused(const std::string& node, Boot boot) {
  if (Current(node, boot) == 0 || gossip_.swim().health() > kHealthMax) return;
  Report(node, boot, Sighting::kRefused);
}

bool EvidenceShell::IsAbsent(const std::string& node, const Id128& nonce) const {
  auto member = gossip_.swim().Find(node);
  return !member || member->id.nonce != nonce || !member->IsHere();
}

// The verdict may be another's, and that one cut off: whoever still answers us is not dead. Nor is
// who refutes it while we ask: that comes once, so a report after it would stand for ever, and a
// coordinator that counts a living voter as gone does nothing more.
void EvidenceShell::OnDied(const std::string& node, Boot boot) {
  if (Current(node, boot) == 0) return;
  const Id128 nonce = maps_.map()->FindNode(node)->nonce;
  capnp::MallocMessageBuilder message;
  const uint64_t number = links_.NextNumber();
  message.initRoot<control::LinkProbe>().setNumber(number);
  auto asked = links_.Call(node, control::KIND_LINK_PROBE, number, message, kAskLimit);
  tasks_.add(asked
                 .then([nonce](kj::Own<Frame> frame) {
                   auto answer = frame->header<control::LinkProbeAnswer>();
                   return codec::ReadId(answer.getNonce()) == nonce;
                 })
                 .catch_([](kj::Exception&&) { return false; })
                 .then([this, node, boot, nonce](bool lives) {
                   if (lives || Current(node, boot) == 0 || !IsAbsent(node, nonce)) return;
                   Report(node, boot, Sighting::kDead);
                 }));
}

void EvidenceShell::OnSuspected(const std::string& node, const Id128& nonce) {
  if (maps_.map() == nullptr) return;
  const NodeEntry* entry = maps_.map()->FindNode(node);
  if (entry == nullptr || entry->nonce != nonce) return;
  board_.Add(self_.Now(), *maps_.map(), {self_.name(), node, entry->boot, Sighting::kSuspected});
  LookAround(node);
}

// Where one is silent others may be, and a cut should know of all: whom we have not heard lately is
// probed now, not when the ring comes to it.
void EvidenceShell::LookAround(const std::string& suspect) {
  const absl::Time now = self_.Now();
  const absl::Duration interval = self_.options.swim.probe_interval;
  if (now - looked_around_ < 2 * interval || gossip_.swim().health() > kHealthMax) return;
  if (!owner_.Coordinates()) return;
  looked_around_ = now;
  std::vector<NodeEntry> unheard;
  for (const NodeEntry& node : maps_.map()->nodes) {
    if (node.name == suspect || Current(node.name, node.boot) == 0) continue;
    if (now - LastSign(node.name) > interval) unheard.push_back(node);
  }
  std::stable_sort(unheard.begin(), unheard.end(), [this](const auto& a, const auto& b) {
    return LastSign(a.name) < LastSign(b.name);
  });
  if (unheard.size() > kLookAroundMax) unheard.resize(kLookAroundMax);
  for (const NodeEntry& node : unheard) Probe(node.name, node.nonce, LinkEnd::kReset);
}

void EvidenceShell::OnAlive(const std::string& node, const Id128& nonce) {
  if (maps_.map() == nullptr) return;
  const NodeEntry* entry = maps_.map()->FindNode(node);
  if (entry != nullptr && entry->nonce == nonce) board_.Refute(node);
}

void EvidenceShell::Report(const std::string& node, Boot boot, Sighting kind) {
  const absl::Time now = self_.Now();
  auto& [last_boot, last_time] = reported_[{node, kind}];
  const bool again = last_boot == boot && now - last_time < kReportAgain;
  last_boot = boot;
  if (again) return;
  last_time = now;
  self_.log().Debug("evidence", {{"about", node}, {"boot", boot}, {"what", Name(kind)}});
  board_.Add(now, *maps_.map(), {self_.name(), node, boot, kind});
  alarm_.SetNoLaterThan(board_.wake());
  if (kind != Sighting::kDead) Tell(node, boot, kind);  // That verdict gossip spreads.
  owner_.OnVerdict();
}

void EvidenceShell::Tell(const std::string& node, Boot boot, Sighting kind) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::Evidence>();
  out.setSubject(node.c_str());
  out.setBoot(boot);
  out.setKind(Encode(kind));
  std::set<std::string> voters;
  for (const auto* set : {&maps_.map()->voters, &maps_.map()->pending}) {
    for (const VoterId& voter : *set) voters.insert(voter.node);
  }
  for (const std::string& voter : voters) {
    if (voter != node && voter != self_.name()) {
      (void)links_.Send(voter, control::KIND_EVIDENCE, message);
    }
  }
}

// ---- What others see.

void EvidenceShell::OnReport(const Introduction& peer, Frame& frame) {
  auto in = frame.header<control::Evidence>();
  auto kind = Decode(in.getKind());
  if (!kind || maps_.map() == nullptr) return;
  if (frame.transit() > kTransitMax) return;  // It waited out a broken network: old news.
  const NodeEntry* observer = maps_.map()->FindNode(peer.node);
  if (observer == nullptr || observer->nonce != peer.nonce) return;
  const std::string subject(in.getSubject().cStr());
  if (subject == self_.name()) return;  // We know better.
  board_.Add(self_.Now(), *maps_.map(), {peer.node, subject, in.getBoot(), *kind});
  alarm_.SetNoLaterThan(board_.wake());
  owner_.OnVerdict();
}

bool EvidenceShell::IsGone(const std::string& node) const {
  if (maps_.map() == nullptr || node == self_.name()) return false;
  return board_.Judge(self_.Now(), *maps_.map(), node, Signs()) != EvidenceBoard::Verdict::kNothing;
}

void EvidenceShell::OnNewMap() {
  board_.OnMap(*maps_.map());
  std::erase_if(
      said_, [this](const auto& entry) { return maps_.map()->FindNode(entry.first) == nullptr; });
  std::erase_if(shown_since_, [this](const auto& entry) {
    return Current(entry.first, entry.second.first) == 0;
  });
  std::erase_if(reported_, [this](const auto& entry) {
    return Current(entry.first.first, entry.second.first) == 0;
  });
  if (!absence_alarm_.is_set()) absence_alarm_.Set(self_.Now() + kAbsenceLook);
}

void EvidenceShell::Cut() {
  if (maps_.map() == nullptr) return;
  auto cut = board_.TakeCut(self_.Now(), *maps_.map(), Signs());
  alarm_.SetNoLaterThan(board_.wake());
  if (cut.empty() || !owner_.Coordinates()) return;
  std::erase_if(cut,
                [this](const Command& command) { return AwaitsProof(std::get<Fence>(command)); });
  for (const Command& command : cut) {
    auto& said = said_[std::get<Fence>(command).node];
    if (said == Describe(command)) continue;
    said = Describe(command);
    self_.log().Warning("fencing a dead node", {{"command", said}});
  }
  shell_.Propose(std::move(cut));
}

bool EvidenceShell::AwaitsProof(const Fence& fence) {
  const NodeEntry* node = maps_.map()->FindNode(fence.node);
  const bool watched = node != nullptr && watched_.contains({node->name, node->nonce});
  if (fence.grounds == Fence::Grounds::kProofOfDeath || !watched) return false;
  const absl::Time now = self_.Now();
  auto& [boot, since] = shown_since_[fence.node];
  if (boot != fence.boot) {
    boot = fence.boot;
    since = now;
  }
  if (now - since >= kProofWait) return false;
  alarm_.SetNoLaterThan(since + kProofWait);
  board_.Again(since + kProofWait);
  return true;
}

// Whoever is UP in the map and unknown to gossip never answered a probe here: a verdict of death
// that nobody can give by itself, as after a start of the whole cluster without one node.
void EvidenceShell::LookForAbsent() {
  const absl::Time now = self_.Now();
  absence_alarm_.Set(now + kAbsenceLook);
  const SwimOptions& swim = self_.options.swim;
  const absl::Duration patience =
      2 * swim.suspicion_mult * swim.suspicion_max_mult * swim.probe_interval;
  if (self_.boot == 0 || !owner_.Coordinates()) return absent_since_.clear();
  for (const NodeEntry& node : maps_.map()->nodes) {
    if (!IsAbsent(node.name, node.nonce) || Current(node.name, node.boot) == 0) {
      absent_since_.erase(node.name);
      continue;
    }
    auto [at, fresh] = absent_since_.insert({node.name, now});
    if (now - at->second > patience) OnDied(node.name, node.boot);
  }
}

// ---- Names that are taken.

kj::Promise<bool> EvidenceShell::Answers(const NodeEntry& node) {
  if (node.nonce == self_.nonce) return true;
  // Also of our own name: whoever has the directory of a voter may be asked, and is a copy itself.
  const bool lives = node.state == NodeState::kUp || node.state == NodeState::kDraining;
  if (!lives || node.addresses.empty() || node.addresses.front() == self_.address) return false;
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  message->initRoot<control::LinkProbe>().setNumber(links_.NextNumber());
  return links_
      .CallAddress(node.addresses.front(), control::KIND_LINK_PROBE, kj::mv(message), kAskLimit)
      .then([this, node](ControlLinks::Visit&& visit) {
        // Whom we have the name of refuses us.
        const bool refuses = visit.dialed.refused == wire::Refusal::Reason::STALE;
        if (node.name == self_.name() && refuses) return true;
        return visit.peer.nonce == node.nonce && visit.answer.get() != nullptr;
      });
}

kj::Promise<std::vector<Command>> EvidenceShell::FenceIfDead(const NodeEntry& node) {
  const Fence fence{node.name, node.boot, node.generation, Fence::Grounds::kEvidence};
  std::vector<Command> dead{fence};
  if (Current(node.name, node.boot) == 0) return std::vector<Command>();
  auto verdict = board_.Judge(self_.Now(), *maps_.map(), node.name, Signs());
  if (verdict == EvidenceBoard::Verdict::kProven) {
    std::get<Fence>(dead.front()).grounds = Fence::Grounds::kProofOfDeath;
  }
  auto member = gossip_.swim().Find(node.name);
  const bool died = member && member->id.nonce == node.nonce && !member->IsHere();
  if (verdict != EvidenceBoard::Verdict::kNothing || died) return kj::mv(dead);
  if (node.addresses.empty()) return std::vector<Command>();
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  message->initRoot<control::LinkProbe>().setNumber(links_.NextNumber());
  return links_
      .CallAddress(node.addresses.front(), control::KIND_LINK_PROBE, kj::mv(message), kAskLimit)
      .then([this, dead = std::move(dead), node](ControlLinks::Visit&& visit) mutable {
        const bool another = !visit.peer.nonce.IsZero() && visit.peer.nonce != node.nonce;
        if (another || visit.dialed.outcome == DialOutcome::kRefused) return std::move(dead);
        self_.log().Warning("a process wants the name of one that lives",
                            {{"name", node.name}, {"boot", node.boot}});
        return std::vector<Command>();
      });
}

}  // namespace troupe
