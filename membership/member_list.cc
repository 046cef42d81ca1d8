#include "troupe/membership/member_list.h"

#include <algorithm>
#include <cmath>

namespace troupe {

MemberRecord* MemberList::Find(std::string_view name) {
  auto it = records_.find(name);
  return it == records_.end() ? nullptr : &it->second;
}
const MemberRecord* MemberList::Find(std::string_view name) const {
  auto it = records_.find(name);
  return it == records_.end() ? nullptr : &it->second;
}
MemberRecord* MemberList::Find(std::string_view name, const Id128& nonce) {
  MemberRecord* record = Find(name);
  return record != nullptr && record->member.id.nonce == nonce ? record : nullptr;
}

Merged MemberList::Merge(absl::Time now, const Member& rumour) {
  MemberRecord* record = Find(rumour.id.name);
  uint64_t known = 0;
  if (record != nullptr && record->member.id.nonce == rumour.id.nonce)
    known = record->member.incarnation;
  if (rumour.incarnation > known && rumour.incarnation - known > kIncarnationLeapMax) {
    return {Change::kImplausible, record, {}, 0};
  }
  if (record != nullptr) {
    return record->member.id.nonce == rumour.id.nonce ? MergeSameProcess(now, *record, rumour)
                                                      : MergeOtherProcess(now, *record, rumour);
  }
  if (rumour.state != MemberState::kAlive) return {};  // Of whom we know no address.
  if (records_.size() >= options_.members_max) return {Change::kImplausible, nullptr, {}, 0};
  MemberRecord& added = records_[rumour.id.name];
  added.member = rumour;
  added.member.accuser.clear();
  added.since = now;
  ++here_;
  return {Change::kJoined, &added, {}, 0};
}

Merged MemberList::MergeSameProcess(absl::Time now, MemberRecord& record, const Member& rumour) {
  switch (rumour.state) {
    case MemberState::kAlive:
      return MergeAlive(now, record, rumour);
    case MemberState::kSuspect:
      return MergeSuspect(now, record, rumour);
    case MemberState::kDead:
    case MemberState::kLeft:
      return MergeGone(now, record, rumour);
  }
  return {Change::kNothing, &record, {}, 0};
}

Merged MemberList::MergeAlive(absl::Time now, MemberRecord& record, const Member& rumour) {
  Member& held = record.member;
  uint64_t map_version = std::max(held.map_version, rumour.map_version);
  bool newer_map = map_version > held.map_version;
  if (RankOf(rumour) <= RankOf(held)) {
    if (!newer_map || held.state != MemberState::kAlive || RankOf(rumour) < RankOf(held)) {
      return {Change::kNothing, &record, {}, 0};
    }
    held.map_version = map_version;
    return {Change::kMapVersion, &record, {}, 0};
  }
  Change change = Change::kUpdated;
  if (!held.IsHere()) {
    change = Change::kJoined;
  } else if (held.state == MemberState::kSuspect) {
    change = Change::kRefuted;
  } else if (SameContent(held, rumour) && held.id.boot == rumour.id.boot) {
    change = newer_map ? Change::kMapVersion : Change::kRenewed;
  }
  SetState(now, record, MemberState::kAlive);
  held = rumour;
  held.map_version = map_version;
  held.accuser.clear();
  record.failed_probes = 0;
  return {change, &record, {}, 0};
}

Merged MemberList::MergeSuspect(absl::Time now, MemberRecord& record, const Member& rumour) {
  Member& held = record.member;
  if (RankOf(rumour) < RankOf(held)) return {Change::kNothing, &record, {}, 0};
  // Whatever the state, someone saw it alive at this rank and doubts it since: an alive rumour of
  // that rank is old from now on.
  held.id.boot = rumour.id.boot;
  held.incarnation = rumour.incarnation;
  if (!held.IsHere()) return {Change::kNothing, &record, {}, 0};
  if (held.state == MemberState::kSuspect) {
    bool news = record.suspicion->Confirm(rumour.accuser);
    next_suspicion_.reset();
    return {news ? Change::kConfirmed : Change::kNothing, &record, {}, 0};
  }
  record.suspicion = NewSuspicion(now, rumour.accuser);
  held.accuser = rumour.accuser;
  SetState(now, record, MemberState::kSuspect);
  return {Change::kSuspected, &record, {}, 0};
}

Merged MemberList::MergeGone(absl::Time now, MemberRecord& record, const Member& rumour) {
  Member& held = record.member;
  if (RankOf(rumour) < RankOf(held)) return {Change::kNothing, &record, {}, 0};
  held.id.boot = rumour.id.boot;
  held.incarnation = rumour.incarnation;
  bool left = rumour.state == MemberState::kLeft || rumour.accuser == held.id.name;
  if (held.state == MemberState::kLeft || (held.state == MemberState::kDead && !left)) {
    return {Change::kNothing, &record, {}, 0};
  }
  int accusers = record.suspicion ? record.suspicion->accusers() : 0;
  held.accuser = left ? held.id.name : rumour.accuser;
  SetState(now, record, left ? MemberState::kLeft : MemberState::kDead);
  return {left ? Change::kLeft : Change::kDied, &record, {}, accusers};
}

Merged MemberList::MergeOtherProcess(absl::Time now, MemberRecord& record, const Member& rumour) {
  const Member& held = record.member;
  bool alive = rumour.state == MemberState::kAlive;
  bool above = rumour.id.boot > held.id.boot;
  bool former = rumour.id.nonce == record.former_nonce;
  if (!alive) {
    bool gone = rumour.state == MemberState::kDead || rumour.state == MemberState::kLeft;
    // A registered process followed by another that is already gone: the name has moved on.
    if (gone && above && held.id.boot != 0) return Replace(now, record, rumour);
    if (gone && above) {
      record.former_nonce = rumour.id.nonce;
      record.former_rank = RankOf(rumour);
    }
    return {Change::kNothing, &record, {}, 0};
  }
  if (former && RankOf(rumour) <= record.former_rank) return {Change::kNothing, &record, {}, 0};
  if (above) return Replace(now, record, rumour);
  if (rumour.id.boot != 0) return {Change::kNothing, &record, {}, 0};  // An older run of the node.
  if (!held.IsHere()) return Replace(now, record, rumour);
  if (record.rival_nonce == rumour.id.nonce) return {Change::kNothing, &record, {}, 0};
  record.rival_nonce = rumour.id.nonce;
  return {Change::kConflict, &record, {}, 0};
}

Merged MemberList::Replace(absl::Time now, MemberRecord& record, const Member& rumour) {
  Merged merged{Change::kReplaced, &record, record.member, 0};
  record.former_nonce = record.member.id.nonce;
  record.former_rank = RankOf(record.member);
  record.rival_nonce = {};
  record.traffic = record.datagram = absl::InfinitePast();
  record.failed_probes = 0;
  MemberState state = rumour.state;
  SetState(now, record, state);
  record.member = rumour;
  if (state == MemberState::kAlive) record.member.accuser.clear();
  return merged;
}

void MemberList::SetState(absl::Time now, MemberRecord& record, MemberState state) {
  next_suspicion_.reset();
  const std::string& name = record.member.id.name;
  bool was_here = record.member.IsHere();
  record.member.state = state;
  record.since = now;
  here_ += static_cast<size_t>(record.member.IsHere()) - static_cast<size_t>(was_here);
  auto at = std::lower_bound(suspects_.begin(), suspects_.end(), name);
  bool listed = at != suspects_.end() && *at == name;
  if (state == MemberState::kSuspect) {
    if (!listed) suspects_.insert(at, name);
  } else {
    if (listed) suspects_.erase(at);
    record.suspicion.reset();
  }
}

absl::Duration MemberList::LeastSuspicion() const {
  double scale = std::max(1.0, std::log10(static_cast<double>(cluster_size())));
  return options_.probe_interval * (options_.suspicion_mult * scale);
}

Suspicion MemberList::NewSuspicion(absl::Time now, const std::string& accuser) const {
  int confirmations = std::max(0, options_.suspicion_mult - 2);
  // Without enough members to ever confirm, waiting for them only costs time.
  if (cluster_size() < static_cast<size_t>(confirmations) + 2) confirmations = 0;
  absl::Duration least = LeastSuspicion();
  return Suspicion(now, least, least * options_.suspicion_max_mult, confirmations, accuser);
}

absl::Time MemberList::NextSuspicionDeadline() const {
  if (next_suspicion_.has_value()) return *next_suspicion_;  // Asked at every event.
  absl::Time next = absl::InfiniteFuture();
  for (const std::string& name : suspects_)
    next = std::min(next, Find(name)->suspicion->deadline());
  next_suspicion_ = next;
  return next;
}

std::vector<std::string> MemberList::Expired(absl::Time now) const {
  std::vector<std::string> expired;
  if (now < NextSuspicionDeadline()) return expired;
  for (const std::string& name : suspects_) {
    if (Find(name)->suspicion->deadline() <= now) expired.push_back(name);
  }
  return expired;
}

void MemberList::PostponeSuspicions(absl::Duration by) {
  for (const std::string& name : suspects_) Find(name)->suspicion->Postpone(by);
  next_suspicion_.reset();
}

std::vector<std::string> MemberList::Reap(absl::Time now) {
  std::vector<std::pair<absl::Time, std::string>> gone;
  for (const auto& [name, record] : records_) {
    if (!record.member.IsHere()) gone.emplace_back(record.since, name);
  }
  std::sort(gone.begin(), gone.end());
  std::vector<std::string> reaped;
  for (size_t i = 0; i < gone.size(); ++i) {
    bool beyond_cap = gone.size() - i > options_.tombstones_max;
    if (!beyond_cap && now - gone[i].first < options_.tombstone_keep) break;
    records_.erase(gone[i].second);
    reaped.push_back(gone[i].second);
  }
  return reaped;
}

}  // namespace troupe
