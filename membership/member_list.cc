#include "troupe/membership/member_list.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace troupe {

// ---- Records.

const MemberRecord* MemberList::Find(std::string_view name) const {
  auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &slots_[*at];
}
MemberRecord* MemberList::Find(std::string_view name) {
  return const_cast<MemberRecord*>(std::as_const(*this).Find(name));
}
MemberRecord* MemberList::Find(std::string_view name, const Id128& nonce) {
  MemberRecord* record = Find(name);
  return record != nullptr && record->id().nonce == nonce ? record : nullptr;
}
MemberNumber MemberList::NumberOf(const MemberRecord& record) const {
  return *by_name_.find(std::string_view(record.name()));
}

std::vector<MemberNumber>::const_iterator MemberList::PlaceOf(std::string_view name) const {
  return std::lower_bound(
      order_.begin(), order_.end(), name,
      [this](MemberNumber number, std::string_view name) { return at(number).name() < name; });
}

MemberRecord& MemberList::Add(const Member& rumour) {
  if (free_.empty()) {
    free_.push_back(static_cast<MemberNumber>(slots_.size()));
    slots_.emplace_back();
  }
  const MemberNumber number = free_.back();
  free_.pop_back();
  MemberRecord& added = slots_[number];
  Set(added, Shared(DescriptionOf(rumour)), rumour.state);
  added.map_version = rumour.map_version;
  // Lists of members come sorted.
  const bool last = order_.empty() || at(order_.back()).name() < added.name();
  order_.insert(last ? order_.end() : PlaceOf(added.name()), number);
  by_name_.insert(number);
  return added;
}

void MemberList::Remove(MemberNumber number) {
  order_.erase(PlaceOf(at(number).name()));
  by_name_.erase(number);
  slots_[number] = MemberRecord();
  free_.push_back(number);
}

void MemberList::Clear() {
  by_name_.clear();
  order_.clear();
  suspects_.clear();
  free_.clear();
  slots_.clear();
  digest_ = GossipDigest(kDigestBuckets);
  next_suspicion_.reset();
  here_ = 0;
}

std::shared_ptr<const Description> MemberList::Shared(Description description) {
  return shared_ != nullptr ? shared_->Share(std::move(description))
                            : std::make_shared<const Description>(std::move(description));
}

void MemberList::Set(MemberRecord& record, std::shared_ptr<const Description> description,
                     MemberState state) {
  if (record.description != nullptr) {
    const Description& before = *record.description;
    digest_[BucketOf(before.id.name)] -= DigestOf(before.id, before.incarnation, record.state);
    here_ -= record.IsHere();
    if (record.state == MemberState::kSuspect && state != MemberState::kSuspect) Unlist(record);
  }
  record.description = std::move(description);
  const bool listed = std::exchange(record.state, state) == MemberState::kSuspect;
  const Description& after = *record.description;
  digest_[BucketOf(after.id.name)] += DigestOf(after.id, after.incarnation, state);
  here_ += record.IsHere();
  if (state == MemberState::kSuspect && !listed) List(record);
  if (state == MemberState::kAlive && record.rare != nullptr) {
    record.rare->accuser.clear();
    if (record.rare->former_nonce.IsZero() && record.rare->rival_nonce.IsZero())
      record.rare.reset();
  }
}

// An accusation of a higher rank than what is known of its process.
void MemberList::Raise(MemberRecord& record, Rank rank) {
  if (record.rank() == rank) return;
  Description raised = *record.description;
  raised.id.boot = rank.boot;
  raised.incarnation = rank.incarnation;
  Set(record, Shared(std::move(raised)), record.state);
}

// ---- Rumours.

Merged MemberList::Merge(absl::Time now, const Member& rumour) {
  MemberRecord* record = Find(rumour.id.name);
  const bool same = record != nullptr && record->id().nonce == rumour.id.nonce;
  const uint64_t known = same ? record->description->incarnation : 0;
  if (rumour.incarnation > known && rumour.incarnation - known > kIncarnationLeapMax) {
    return {Change::kImplausible, record, {}, 0};
  }
  if (record != nullptr) {
    return same ? MergeSameProcess(now, *record, rumour) : MergeOtherProcess(now, *record, rumour);
  }
  if (rumour.state != MemberState::kAlive) return {};  // Of whom we know no address.
  if (order_.size() >= options_.members_max) return {Change::kImplausible, nullptr, {}, 0};
  return {Change::kJoined, &Add(rumour), {}, 0};
}

Merged MemberList::MergeSameProcess(absl::Time now, MemberRecord& record, const Member& rumour) {
  switch (rumour.state) {
    case MemberState::kAlive:
      return MergeAlive(record, rumour);
    case MemberState::kSuspect:
      return MergeSuspect(now, record, rumour);
    case MemberState::kDead:
    case MemberState::kLeft:
      return MergeGone(now, record, rumour);
  }
  return {Change::kNothing, &record, {}, 0};
}

Merged MemberList::MergeAlive(MemberRecord& record, const Member& rumour) {
  const bool newer_map = rumour.map_version > record.map_version;
  if (RankOf(rumour) <= record.rank()) {
    if (!newer_map || record.state != MemberState::kAlive || RankOf(rumour) < record.rank()) {
      return {Change::kNothing, &record, {}, 0};
    }
    record.map_version = rumour.map_version;
    return {Change::kMapVersion, &record, {}, 0};
  }
  Change change = Change::kUpdated;
  if (!record.IsHere()) {
    change = Change::kJoined;
  } else if (record.state == MemberState::kSuspect) {
    change = Change::kRefuted;
  } else if (SameContent(*record.description, rumour) && record.id().boot == rumour.id.boot) {
    change = newer_map ? Change::kMapVersion : Change::kRenewed;
  }
  Set(record, Shared(DescriptionOf(rumour)), MemberState::kAlive);
  record.map_version = std::max(record.map_version, rumour.map_version);
  record.failed_probes = 0;
  return {change, &record, {}, 0};
}

Merged MemberList::MergeSuspect(absl::Time now, MemberRecord& record, const Member& rumour) {
  if (RankOf(rumour) < record.rank()) return {Change::kNothing, &record, {}, 0};
  // Whatever the state, someone saw it alive at this rank and doubts it since: an alive rumour of
  // that rank is old from now on.
  Raise(record, RankOf(rumour));
  if (!record.IsHere()) return {Change::kNothing, &record, {}, 0};
  if (record.state == MemberState::kSuspect) {
    Suspicion& suspicion = *record.rare->suspicion;
    const bool news = suspicion.Confirm(rumour.accuser);
    if (next_suspicion_) next_suspicion_ = std::min(*next_suspicion_, suspicion.deadline());
    return {news ? Change::kConfirmed : Change::kNothing, &record, {}, 0};
  }
  record.NeedRare().accuser = rumour.accuser;
  record.rare->suspicion = NewSuspicion(now, rumour.accuser);
  Set(record, record.description, MemberState::kSuspect);
  return {Change::kSuspected, &record, {}, 0};
}

Merged MemberList::MergeGone(absl::Time now, MemberRecord& record, const Member& rumour) {
  if (RankOf(rumour) < record.rank()) return {Change::kNothing, &record, {}, 0};
  Raise(record, RankOf(rumour));
  const bool left = rumour.state == MemberState::kLeft || rumour.accuser == record.name();
  if (record.state == MemberState::kLeft || (record.state == MemberState::kDead && !left)) {
    return {Change::kNothing, &record, {}, 0};
  }
  MemberRecord::Rare& rare = record.NeedRare();
  const int accusers = rare.suspicion ? rare.suspicion->accusers() : 0;
  rare.accuser = left ? record.name() : rumour.accuser;
  rare.since = now;
  Set(record, record.description, left ? MemberState::kLeft : MemberState::kDead);
  return {left ? Change::kLeft : Change::kDied, &record, {}, accusers};
}

Merged MemberList::MergeOtherProcess(absl::Time now, MemberRecord& record, const Member& rumour) {
  const Id128& nonce = rumour.id.nonce;
  const Boot held = record.id().boot;
  const MemberRecord::Rare* rare = record.rare.get();
  const bool alive = rumour.state == MemberState::kAlive;
  const bool above = rumour.id.boot > held;
  const bool former = rare != nullptr && rare->former_nonce == nonce;
  if (!alive) {
    bool gone = rumour.state == MemberState::kDead || rumour.state == MemberState::kLeft;
    // A registered process followed by another that is already gone: the name has moved on.
    if (gone && above && held != 0) return Replace(now, record, rumour);
    if (gone && above) {
      record.NeedRare().former_nonce = nonce;
      record.rare->former_rank = RankOf(rumour);
    }
    return {Change::kNothing, &record, {}, 0};
  }
  if (former && RankOf(rumour) <= rare->former_rank) return {Change::kNothing, &record, {}, 0};
  if (above) return Replace(now, record, rumour);
  if (rumour.id.boot != 0) return {Change::kNothing, &record, {}, 0};  // An older run of the node.
  if (!record.IsHere()) return Replace(now, record, rumour);
  if (rare != nullptr && rare->rival_nonce == nonce) return {Change::kNothing, &record, {}, 0};
  record.NeedRare().rival_nonce = nonce;
  return {Change::kConflict, &record, {}, 0};
}

Merged MemberList::Replace(absl::Time now, MemberRecord& record, const Member& rumour) {
  Merged merged{Change::kReplaced, &record, record.ToMember(), 0};
  MemberRecord::Rare& rare = record.NeedRare();
  rare.former_nonce = record.id().nonce;
  rare.former_rank = record.rank();
  rare.rival_nonce = {};
  rare.accuser = rumour.accuser;
  rare.since = now;
  record.traffic = record.datagram = absl::InfinitePast();
  record.failed_probes = 0;
  record.map_version = rumour.map_version;
  Set(record, Shared(DescriptionOf(rumour)), rumour.state);
  return merged;
}

// ---- Suspicion.

void MemberList::List(MemberRecord& record) {
  auto by_name = [](const MemberRecord* a, const MemberRecord* b) { return a->name() < b->name(); };
  suspects_.insert(std::lower_bound(suspects_.begin(), suspects_.end(), &record, by_name), &record);
  if (next_suspicion_)
    next_suspicion_ = std::min(*next_suspicion_, record.rare->suspicion->deadline());
}

void MemberList::Unlist(MemberRecord& record) {
  std::erase(suspects_, &record);
  if (next_suspicion_ && record.rare->suspicion->deadline() <= *next_suspicion_)
    next_suspicion_.reset();
  record.rare->suspicion.reset();
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
  for (const MemberRecord* suspect : suspects_)
    next = std::min(next, suspect->rare->suspicion->deadline());
  next_suspicion_ = next;
  return next;
}

std::vector<std::string> MemberList::Expired(absl::Time now) const {
  std::vector<std::string> expired;
  if (now < NextSuspicionDeadline()) return expired;
  for (const MemberRecord* suspect : suspects_) {
    if (suspect->rare->suspicion->deadline() <= now) expired.push_back(suspect->name());
  }
  return expired;
}

void MemberList::PostponeSuspicions(absl::Duration by) {
  for (MemberRecord* suspect : suspects_) suspect->rare->suspicion->Postpone(by);
  next_suspicion_.reset();
}

// ---- Tombstones.

std::vector<MemberNumber> MemberList::Reap(absl::Time now) {
  if (here_ == order_.size()) return {};
  std::vector<std::pair<absl::Time, MemberNumber>> gone;
  for (MemberNumber number : order_) {
    if (!at(number).IsHere()) gone.emplace_back(at(number).rare->since, number);
  }
  std::stable_sort(gone.begin(), gone.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<MemberNumber> reaped;
  for (size_t i = 0; i < gone.size(); ++i) {
    bool beyond_cap = gone.size() - i > options_.tombstones_max;
    if (!beyond_cap && now - gone[i].first < options_.tombstone_keep) break;
    Remove(gone[i].second);
    reaped.push_back(gone[i].second);
  }
  return reaped;
}

}  // namespace troupe
