// Swim, the part that listens: rumours about others, about ourselves, and push/pull.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/swim.h"

namespace troupe {

Swim::Accused Swim::TakeIn(Turn& turn, const Member& rumour) {
  if (rumour.id.name == self_.id.name) return TakeInAboutSelf(turn, rumour);
  Act(turn, members_.Merge(turn.now, rumour), rumour);
  return Accused::kNo;
}

// Does what a change asks for: tells the owner, passes the rumour on, keeps ring and probes in
// step.
void Swim::Act(Turn& turn, const Merged& merged, const Member& rumour) {
  using Kind = SwimNotice::Kind;
  if (merged.change == Change::kNothing) return;
  if (merged.change == Change::kImplausible) {
    ++counters_.implausible;
    return;
  }
  const Member& member = merged.record->member;
  const std::string& name = member.id.name;
  switch (merged.change) {
    case Change::kNothing:
    case Change::kImplausible:
      return;
    case Change::kConflict:
      return Notify(turn, Kind::kConflict, rumour);  // Not passed on.
    case Change::kConfirmed:
      queue_.Add(Accusation(member, MemberState::kSuspect, rumour.accuser));
      return BuryExpired(turn);
    case Change::kJoined:
      ring_.Add(name, random_);
      Notify(turn, Kind::kJoined, member);
      break;
    case Change::kReplaced:
      probes_.EndProbesOf(name);
      ring_.Add(name, random_);
      Notify(turn, Kind::kReplaced, member);
      turn.actions.notices.back().previous = merged.previous;
      break;
    case Change::kRenewed:
      break;
    case Change::kRefuted:
      Notify(turn, Kind::kRefuted, member);
      break;
    case Change::kUpdated:
      Notify(turn, Kind::kUpdated, member);
      break;
    case Change::kMapVersion:
      Notify(turn, Kind::kMapVersion, member);
      break;
    case Change::kSuspected:
      Notify(turn, Kind::kSuspected, member);
      break;
    case Change::kDied:
    case Change::kLeft:
      probes_.EndProbesOf(name);
      Notify(turn, merged.change == Change::kDied ? Kind::kDied : Kind::kLeft, member);
      turn.actions.notices.back().accusers = merged.accusers;
      break;
  }
  queue_.Add(RumourOf(member));
}

void Swim::BuryExpired(Turn& turn) {
  for (const std::string& name : members_.Expired(turn.now)) {
    TakeIn(turn, Accusation(members_.Find(name)->member, MemberState::kDead, self_.id.name));
  }
}

// ---- About ourselves.

Swim::Accused Swim::TakeInAboutSelf(Turn& turn, const Member& rumour) {
  if (rumour.id.nonce != self_.id.nonce) {
    TakeInAboutName(turn, rumour);
    return Accused::kNo;
  }
  bool ill = rumour.state != MemberState::kAlive;
  Accused accused = ill ? Accused::kYes : Accused::kNo;
  if (self_.state == MemberState::kLeft || superseded_) return accused;
  if (RankOf(rumour) < RankOf(self_)) return accused;  // Answered before; an ack will repeat it.
  // Beyond what we ever said of ourselves; from a boot that is not ours it cannot be true at all.
  if (rumour.id.boot > self_.id.boot ||
      rumour.incarnation - self_.incarnation > kIncarnationLeapMax) {
    ++counters_.implausible;
    return Accused::kNo;
  }
  if (!ill && RankOf(rumour) == RankOf(self_) && SameContent(rumour, self_)) return accused;
  self_.incarnation = rumour.incarnation + 1;
  ++counters_.refutations;
  if (ill) {
    awareness_.Apply(1);  // That we are accused may be our fault.
    Notify(turn, SwimNotice::Kind::kAccused, rumour);
  }
  Announce();
  return accused;
}

// Another process has, or had, our name.
void Swim::TakeInAboutName(Turn& turn, const Member& rumour) {
  if (superseded_) return;
  bool above = rumour.id.boot > self_.id.boot;
  if (above && self_.id.boot != 0) {
    superseded_ = true;
    queue_.Remove(self_.id.name);
    return Notify(turn, SwimNotice::Kind::kSuperseded, rumour);
  }
  if ((above || rumour.id.boot == self_.id.boot) && name_holder_ != rumour.id.nonce) {
    name_holder_ = rumour.id.nonce;
    Notify(turn, SwimNotice::Kind::kNameHeld, rumour);
  }
  if (turn.now < announce_again_) return;
  announce_again_ =
      turn.now + (rumour.IsHere() ? options_.push_pull_interval : options_.probe_interval);
  Announce();  // Who says so does not know us, or may now take us in the other's place.
}

// What the receiver of a datagram should know at once: that we doubt it, or that its name has
// moved.
std::vector<Member> Swim::FactsFor(const MemberId& receiver) const {
  const MemberRecord* record = members_.Find(receiver.name);
  if (record == nullptr) return {};
  const Member& held = record->member;
  if (held.id.nonce == receiver.nonce && held.state == MemberState::kAlive) return {};
  if (held.id.nonce == receiver.nonce && held.state == MemberState::kLeft) return {};
  return {RumourOf(held)};
}

// ---- Who may speak.

bool Swim::Admits(Turn& turn, const GossipHeader& header, std::string_view from,
                  bool meant_for_us) {
  Member stranger;
  stranger.id = header.sender;
  if (!header.Readable()) {
    ++counters_.wrong_version;
    Notify(turn, SwimNotice::Kind::kWrongVersion, stranger);
    turn.actions.notices.back().address = std::string(from);
    turn.actions.notices.back().detail =
        absl::StrCat("speaks ", header.version, ", readable from ", header.oldest, "; we speak ",
                     kGossipVersion, " and read from ", kOldestGossipVersion);
    return false;
  }
  if (header.cluster == cluster_ || header.cluster.IsZero()) return true;
  if (!cluster_.IsZero()) {
    ++counters_.wrong_cluster;
    Notify(turn, SwimNotice::Kind::kWrongCluster, stranger);
    turn.actions.notices.back().address = std::string(from);
    turn.actions.notices.back().detail = absl::StrCat("is of cluster ", header.cluster.ToString(),
                                                      ", we are of ", cluster_.ToString());
    return false;
  }
  // We know no cluster yet. Whoever knows us, or whom we know, tells us ours; a stranger's packet
  // to an address that was once another's does not.
  if (!meant_for_us) {
    ++counters_.wrong_cluster;
    return false;
  }
  cluster_ = header.cluster;
  Notify(turn, SwimNotice::Kind::kClusterLearned, stranger);
  return true;
}

// ---- Push/pull.

std::vector<std::byte> Swim::MakePushPull() const {
  PushPull push_pull{Header(), {}};
  if (!superseded_) push_pull.members.push_back(self_);
  for (const auto& [name, record] : members_.records()) push_pull.members.push_back(record.member);
  return Encode(push_pull);
}

absl::StatusOr<std::vector<std::byte>> Swim::AnswerPushPull(absl::Time now, std::string_view from,
                                                            std::span<const std::byte> request,
                                                            SwimActions& actions) {
  Turn turn = Begin(now, actions);
  absl::StatusOr<PushPull> push_pull = DecodePushPull(request);
  if (!push_pull.ok()) {
    ++counters_.malformed;
    return push_pull.status();
  }
  if (push_pull->header.sender.nonce == self_.id.nonce) {
    return MakePushPull();  // We are our own seed; the asking side of us finds out.
  }
  if (!Admits(turn, push_pull->header, from, true)) {
    return absl::FailedPreconditionError(
        absl::StrCat("push/pull refused: ", actions.notices.back().detail));
  }
  TakeInPushPull(turn, from, *push_pull);
  return MakePushPull();
}

absl::Status Swim::MergePushPull(absl::Time now, uint64_t id, std::span<const std::byte> answer,
                                 SwimActions& actions) {
  Turn turn = Begin(now, actions);
  std::optional<Exchange> exchange = push_pulls_.End(id);
  std::string address = exchange.has_value() ? exchange->address : "";
  absl::StatusOr<PushPull> push_pull = DecodePushPull(answer);
  if (!push_pull.ok()) {
    ++counters_.malformed;
    SeedFailed(turn, address);
    return push_pull.status();
  }
  if (push_pull->header.sender.nonce == self_.id.nonce) {
    push_pulls_.DropSeed(address);
    return absl::InvalidArgumentError(absl::StrCat("seed ", address, " is this node itself"));
  }
  if (!Admits(turn, push_pull->header, address, true)) {
    std::string detail = actions.notices.back().detail;
    SeedFailed(turn, address);
    return absl::FailedPreconditionError(absl::StrCat("push/pull with ", address, ": ", detail));
  }
  push_pulls_.SeedReached(address);
  TakeInPushPull(turn, address, *push_pull);
  return absl::OkStatus();
}

void Swim::TakeInPushPull(Turn& turn, std::string_view from, const PushPull& push_pull) {
  if (!joined_) {
    joined_ = true;
    Member other;
    other.id = push_pull.header.sender;
    Notify(turn, SwimNotice::Kind::kJoinedCluster, other);
    turn.actions.notices.back().address = std::string(from);
  }
  for (const Member& member : push_pull.members) TakeInPushed(turn, member);
}

void Swim::TakeInPushed(Turn& turn, Member pushed) {
  // Somebody else's dead is our suspect: whoever lives gets its time to refute.
  if (pushed.state == MemberState::kDead) {
    const MemberRecord* known = members_.Find(pushed.id.name);
    bool ours = pushed.id.name == self_.id.name;
    if (!ours && (known == nullptr || known->member.id.nonce == pushed.id.nonce)) {
      if (known == nullptr) return;
      pushed.state = MemberState::kSuspect;
    }
  }
  bool unknown = pushed.id.name != self_.id.name && members_.Find(pushed.id.name) == nullptr;
  if (pushed.state == MemberState::kSuspect && unknown && !pushed.gossip_address.empty() &&
      !pushed.rpc_address.empty()) {
    Member living = pushed;
    living.state = MemberState::kAlive;
    TakeIn(turn, living);
  }
  TakeIn(turn, pushed);
}

void Swim::OnPushPullFailed(absl::Time now, uint64_t id, SwimActions& actions) {
  Turn turn = Begin(now, actions);
  if (std::optional<Exchange> exchange = push_pulls_.End(id)) SeedFailed(turn, exchange->address);
}

void Swim::SeedFailed(Turn& turn, const std::string& address) {
  auto retry = push_pulls_.SeedFailed(turn.now, address, random_);
  if (!retry.has_value()) return;
  Notify(turn, SwimNotice::Kind::kSeedFailed, Member());
  turn.actions.notices.back().address = address;
  turn.actions.notices.back().detail = absl::StrCat(
      "no answer ", retry->attempts, " times, again in ", absl::FormatDuration(retry->in));
}

void Swim::PushPullWith(Turn& turn, const std::string& address, const std::string& name) {
  std::optional<Exchange> exchange = push_pulls_.Begin(turn.now, address, name);
  if (exchange.has_value()) turn.actions.push_pulls.push_back({exchange->id, address, name});
}

std::vector<const Member*> Swim::Others(MemberState state) const {
  std::vector<const Member*> others;
  for (const auto& [name, record] : members_.records()) {
    if (record.member.state == state) others.push_back(&record.member);
  }
  return others;
}

void Swim::PushPullRound(Turn& turn) {
  // Beyond 32 members the exchanges get rarer as they get larger: their sum stays the same.
  int doublings = 0;
  for (size_t n = 32; n < members_.cluster_size(); n *= 2) ++doublings;
  next_push_pull_ = turn.now + options_.push_pull_interval * (doublings + 1);
  std::vector<const Member*> living = Others(MemberState::kAlive);
  if (living.empty() || self_.state == MemberState::kLeft) return;
  const Member* chosen = living[random_.Below(living.size())];
  PushPullWith(turn, chosen->rpc_address, chosen->id.name);
}

bool Swim::LivesAt(const std::string& rpc_address) const {
  return std::any_of(members_.records().begin(), members_.records().end(), [&](const auto& entry) {
    return entry.second.member.IsHere() && entry.second.member.rpc_address == rpc_address;
  });
}

// Heals a partition: after it both sides take each other for dead, or have forgotten each other.
void Swim::Reconnect(Turn& turn) {
  next_reconnect_ = turn.now + options_.reconnect_interval * (0.5 + random_.Unit());
  for (const std::string& name : members_.Reap(turn.now)) ring_.Remove(name);
  if (self_.state == MemberState::kLeft || superseded_) return;
  std::vector<std::pair<std::string, std::string>> lost;  // Address and name.
  for (const Member* dead : Others(MemberState::kDead)) {
    if (!dead->rpc_address.empty()) lost.emplace_back(dead->rpc_address, dead->id.name);
  }
  for (const auto& [address, seed] : push_pulls_.seeds()) {
    if (seed.reached) lost.emplace_back(address, "");
  }
  std::erase_if(lost, [this](const auto& one) { return LivesAt(one.first); });
  if (lost.empty()) return;
  const auto& [address, name] = lost[random_.Below(lost.size())];
  PushPullWith(turn, address, name);
}

}  // namespace troupe
