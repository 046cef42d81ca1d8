// Swim, the part that listens: rumours about others, about ourselves, and push/pull.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/swim.h"

namespace troupe {

Swim::Accused Swim::TakeIn(Turn& turn, const Member& rumour, Heard heard) {
  if (rumour.id.name == self_.id.name) return TakeInAboutSelf(turn, rumour);
  Act(turn, members_.Merge(turn.now, rumour), rumour, heard);
  return Accused::kNo;
}

// Does what a change asks for: tells the owner, passes the rumour on, keeps ring and probes in
// step.
void Swim::Act(Turn& turn, const Merged& merged, const Member& rumour, Heard heard) {
  using Kind = SwimNotice::Kind;
  if (merged.change == Change::kNothing) return;
  if (merged.change == Change::kImplausible) {
    ++counters_.implausible;
    return;
  }
  const Member member = merged.record->ToMember();
  const std::string& name = member.id.name;
  if (member.IsHere() && !merged.record->in_ring) {
    merged.record->in_ring = true;
    ring_.Add(members_.NumberOf(*merged.record), random_);
  }
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
      Notify(turn, Kind::kJoined, member);
      break;
    case Change::kReplaced:
      probes_.EndProbesOf(name);
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
      if (heard != Heard::kAsRumour) return;  // As of everybody at once: too much to pass on.
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
  if (heard != Heard::kOnArrival) queue_.Add(RumourOf(member));
}

void Swim::BuryExpired(Turn& turn) {
  for (const std::string& name : members_.Expired(turn.now)) {
    TakeIn(turn, Accusation(members_.Find(name)->ToMember(), MemberState::kDead, self_.id.name));
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
  bool itself = record->id().nonce == receiver.nonce;
  if (itself && record->state == MemberState::kAlive) return {};
  if (itself && record->state == MemberState::kLeft) return {};
  return {RumourOf(record->ToMember())};
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

std::vector<const MemberRecord*> Swim::Others(MemberState state) const {
  std::vector<const MemberRecord*> others;
  if (!IsHere(state) && members_.here() == members_.records().size()) return others;
  for (const MemberRecord& record : members_.records()) {
    if (record.state == state) others.push_back(&record);
  }
  return others;
}

}  // namespace troupe
