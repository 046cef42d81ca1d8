#include "troupe/membership/swim.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

constexpr size_t kRumoursMax =
    4096;  // Waiting ones; far beyond what a mass failure starts at once.
constexpr size_t kSeedsMax = 256;

Member MemberOf(SwimSelf self) {
  Member member;
  member.id = {std::move(self.name), self.nonce, self.boot};
  member.rpc_address = std::move(self.rpc_address);
  member.gossip_address = std::move(self.gossip_address);
  member.metadata = std::move(self.metadata);
  return member;
}

}  // namespace

absl::Status Swim::Check(const SwimOptions& options, const SwimSelf& self) {
  absl::Status status = options.Validate();
  if (status.ok()) status = CheckName(self.name);
  if (status.ok()) status = CheckAddress(self.rpc_address);
  if (status.ok()) status = CheckAddress(self.gossip_address);
  if (status.ok()) status = CheckMetadata(self.metadata);
  if (status.ok() && self.nonce.IsZero())
    status = absl::InvalidArgumentError("nonce must not be zero");
  return status;
}

Swim::Swim(SwimOptions options, SwimSelf self, Random random, absl::Time now,
           DescriptionPool* shared)
    : options_(options),
      cluster_(self.cluster),
      random_(random),
      members_(options, shared),
      queue_(kRumoursMax),
      awareness_(options.health_max),
      push_pulls_(options),
      next_gossip_(now),
      last_event_(now) {
  self_ = MemberOf(std::move(self));
  // At a random phase, so that nodes started together do not act together.
  next_probe_ = now + options_.probe_interval * random_.Unit();
  next_push_pull_ = now + options_.push_pull_interval * random_.Unit();
  next_reconnect_ = now + options_.reconnect_interval * (0.5 + random_.Unit());
}

// ---- Time.

absl::Time Swim::NextDeadline() const {
  absl::Time next =
      std::min({next_probe_, next_push_pull_, next_reconnect_, leave_until_, probes_.NextDeadline(),
                members_.NextSuspicionDeadline(), push_pulls_.NextDeadline()});
  if (!queue_.empty() && !members_.records().empty()) next = std::min(next, next_gossip_);
  return next;
}

void Swim::OnTimer(absl::Time now, SwimActions& actions) {
  Turn turn = Begin(now, actions);
  RunProbes(turn);
  BuryExpired(turn);
  if (next_probe_ <= now) ProbeNext(turn);
  for (const Exchange& lost : push_pulls_.TakeExpired(now)) SeedFailed(turn, lost.address);
  for (const std::string& seed : push_pulls_.DueSeeds(now)) {
    if (LivesAt(seed)) {
      push_pulls_.SeedReached(seed);
    } else {
      PushPullWith(turn, seed, "");
    }
  }
  if (next_push_pull_ <= now) PushPullRound(turn);
  if (next_reconnect_ <= now) Reconnect(turn);
  if (next_gossip_ <= now && !queue_.empty()) Gossip(turn);
  FinishLeaving(turn);
}

// Every event comes through here. Time in which this process stood still says nothing about others:
// what was due meanwhile gets as long as it had left, and we think less of ourselves.
Swim::Turn Swim::Begin(absl::Time now, SwimActions& actions) {
  absl::Duration stalled = now - std::max(NextDeadline(), last_event_);
  last_event_ = now;
  if (stalled > options_.probe_interval) {
    awareness_.Apply(1);
    probes_.Postpone(stalled);
    members_.PostponeSuspicions(stalled);
  }
  return Turn{now, actions};
}

// ---- Sending.

GossipHeader Swim::Header() const {
  GossipHeader header;
  header.cluster = cluster_;
  header.sender = self_.id;
  header.map_version = self_.map_version;
  return header;
}

// `first` is what the receiver needs to know now; rumours fill the rest.
void Swim::Send(Turn& turn, const std::string& to, std::string_view receiver, GossipBody body,
                std::vector<Member> first) {
  GossipDatagram datagram{Header(), std::move(body), std::move(first)};
  size_t used = EncodedBytes(datagram.header, datagram.body);
  std::erase_if(datagram.updates, [&](const Member& update) {
    if (used + EncodedBytes(update) > options_.datagram_bytes_max) return true;
    used += EncodedBytes(update);
    return false;
  });
  for (Member& rumour : queue_.Take(options_.datagram_bytes_max - used, SendsMax(), receiver)) {
    datagram.updates.push_back(std::move(rumour));
  }
  turn.actions.datagrams.push_back({to, Encode(datagram)});
}

void Swim::Notify(Turn& turn, SwimNotice::Kind kind, const Member& member) {
  SwimNotice notice;
  notice.kind = kind;
  notice.member = member;
  turn.actions.notices.push_back(std::move(notice));
}

bool Swim::GoesToAll() const {
  return members_.cluster_size() <= 2 * static_cast<size_t>(options_.gossip_fanout) + 2;
}

int Swim::SendsMax() const {
  return RetransmitLimit(options_.retransmit_mult, members_.cluster_size(),
                         GoesToAll() ? GossipReach::kExhaustive : GossipReach::kSampled);
}

// Those who are here, and the recently dead: a live one among them learns of it and refutes.
bool Swim::IsTarget(const Turn& turn, const MemberRecord& record) const {
  bool still_told = record.state == MemberState::kDead &&
                    turn.now - record.rare->since <= options_.gossip_to_dead;
  return !record.description->gossip_address.empty() && (record.IsHere() || still_told);
}

std::vector<const MemberRecord*> Swim::AllTargets(const Turn& turn) {
  std::vector<const MemberRecord*> targets;
  for (const MemberRecord& record : members_.records()) {
    if (IsTarget(turn, record)) targets.push_back(&record);
  }
  random_.Shuffle(targets);
  return targets;
}

// Drawn, not sorted out of all: a round costs the same in every cluster.
std::vector<const MemberRecord*> Swim::SomeTargets(const Turn& turn) {
  std::vector<const MemberRecord*> targets;
  const size_t fanout = static_cast<size_t>(options_.gossip_fanout);
  for (size_t draws = 0; draws < 32 * fanout && targets.size() < fanout; ++draws) {
    const std::optional<MemberNumber> member = ring_.Draw(random_);
    if (!member || !IsTarget(turn, members_.at(*member))) continue;
    const MemberRecord* record = &members_.at(*member);
    bool drawn = std::find(targets.begin(), targets.end(), record) != targets.end();
    if (!drawn) targets.push_back(record);
  }
  return targets.empty() ? AllTargets(turn) : targets;
}

void Swim::Gossip(Turn& turn) {
  next_gossip_ = turn.now + options_.gossip_interval;
  const std::vector<const MemberRecord*> targets =
      GoesToAll() ? AllTargets(turn) : SomeTargets(turn);
  if (targets.empty()) return queue_.Clear();  // Whoever comes gets it by push/pull.
  for (const MemberRecord* target : targets) {
    if (queue_.empty()) return;
    Send(turn, target->description->gossip_address, target->name(), GossipOnly{},
         FactsFor(target->id()));
  }
}

// ---- Datagrams.

void Swim::OnDatagram(absl::Time now, std::string_view from, std::span<const std::byte> bytes,
                      SwimActions& actions) {
  Turn turn = Begin(now, actions);
  ++counters_.datagrams;
  absl::StatusOr<GossipDatagram> datagram = DecodeDatagram(bytes);
  if (!datagram.ok()) {
    ++counters_.malformed;
    return;
  }
  const GossipHeader& header = datagram->header;
  if (header.sender.nonce == self_.id.nonce) return;  // Our own, come back.
  const Ping* ping = std::get_if<Ping>(&datagram->body);
  MemberRecord* sender = members_.Find(header.sender.name, header.sender.nonce);
  bool meant_for_us = sender != nullptr || (ping != nullptr && ping->nonce == self_.id.nonce);
  if (!Admits(turn, header, from, meant_for_us)) return;

  Accused accused = Accused::kNo;
  for (const Member& rumour : datagram->updates) {
    if (TakeIn(turn, rumour) == Accused::kYes) accused = Accused::kYes;
  }
  sender =
      members_.Find(header.sender.name, header.sender.nonce);  // May have been learned just now.
  if (sender != nullptr) {
    sender->datagram = now;
    if (header.map_version > sender->map_version) {
      sender->map_version = header.map_version;
      Notify(turn, SwimNotice::Kind::kMapVersion, sender->ToMember());
    }
  }
  std::vector<Member> first = FactsFor(header.sender);
  if (accused == Accused::kYes && !superseded_) first.insert(first.begin(), RumourOf(self_));
  if (ping != nullptr) Handle(turn, header, from, *ping, std::move(first));
  if (const auto* ack = std::get_if<PingAck>(&datagram->body)) Handle(turn, header, *ack);
  if (const auto* request = std::get_if<PingReq>(&datagram->body))
    Handle(turn, header, from, *request);
  if (const auto* nack = std::get_if<Nack>(&datagram->body)) Handle(turn, header, *nack);
}

// ---- Ourselves.

void Swim::Announce() {
  if (!superseded_) queue_.Add(RumourOf(self_));
}

void Swim::Join(absl::Time now, std::vector<std::string> seeds) {
  std::erase_if(seeds, [this](const std::string& seed) {
    return seed == self_.rpc_address || !CheckAddress(seed).ok();
  });
  if (seeds.size() > kSeedsMax) seeds.resize(kSeedsMax);
  push_pulls_.SetSeeds(now, std::move(seeds));
}

void Swim::Leave(absl::Time now, SwimActions& actions) {
  if (self_.state == MemberState::kLeft) return;
  Turn turn = Begin(now, actions);
  self_.state = MemberState::kLeft;
  self_.accuser = self_.id.name;
  leave_until_ = now + options_.leave_timeout;
  push_pulls_.SetSeeds(now, {});
  Announce();
  if (members_.here() == 0) queue_.Clear();
  FinishLeaving(turn);
}

void Swim::FinishLeaving(Turn& turn) {
  if (leave_until_ == absl::InfiniteFuture()) return;
  if (leave_until_ > turn.now && queue_.Holds(self_.id.name)) return;
  leave_until_ = absl::InfiniteFuture();
  Notify(turn, SwimNotice::Kind::kLeaveDone, self_);
}

absl::Status Swim::SetMetadata(absl::Time, std::string metadata) {
  if (absl::Status status = CheckMetadata(metadata); !status.ok()) return status;
  if (metadata == self_.metadata) return absl::OkStatus();
  self_.metadata = std::move(metadata);
  ++self_.incarnation;
  Announce();
  return absl::OkStatus();
}

void Swim::SetMapVersion(absl::Time, uint64_t map_version, MapNews news) {
  if (map_version <= self_.map_version) return;
  self_.map_version = map_version;
  if (news == MapNews::kAnnounce || queue_.Holds(self_.id.name)) Announce();
}

void Swim::SetBoot(absl::Time, Boot boot) {
  if (boot <= self_.id.boot) return;
  self_.id.boot = boot;
  Announce();
}

void Swim::SetCluster(const Id128& cluster) {
  if (!cluster_.IsZero() && cluster_ != cluster) {
    members_.Clear();
    ring_ = ProbeRing();
    probes_ = ProbeTable();
    queue_.Clear();
  }
  cluster_ = cluster;
}

// ---- The view.

std::vector<Member> Swim::Members() const {
  std::vector<Member> members;
  members.reserve(members_.records().size() + 1);
  bool placed = false;
  for (const MemberRecord& record : members_.records()) {
    if (!placed && self_.id.name < record.name()) {
      members.push_back(self_);
      placed = true;
    }
    members.push_back(record.ToMember());
  }
  if (!placed) members.push_back(self_);
  return members;
}

std::optional<Member> Swim::Find(std::string_view name) const {
  if (name == self_.id.name) return self_;
  const MemberRecord* record = members_.Find(name);
  return record == nullptr ? std::nullopt : std::optional<Member>(record->ToMember());
}

}  // namespace troupe
