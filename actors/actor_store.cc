#include "troupe/actors/actor_store.h"

#include <algorithm>

namespace troupe {
namespace {

bool ById(const Report::Entry& a, const Report::Entry& b) { return a.actor < b.actor; }

}  // namespace

const StoredActor* ActorStore::Find(const ActorId& actor) const {
  auto it = actors_.find(actor);
  return it == actors_.end() || it->second->tombstone ? nullptr : it->second.get();
}

Version ActorStore::VersionOf(const ActorId& actor) const {
  auto it = actors_.find(actor);
  return it == actors_.end() ? Version() : it->second->version;
}

ActorStore::Outcome ActorStore::Check(const ActorUpdate& update) const {
  Version held = VersionOf(update.actor);
  if (update.version <= held) return Outcome::kOlder;
  if (update.kind != ActorUpdate::Kind::kDelta) return Outcome::kApplied;
  return update.base == held && Find(update.actor) != nullptr ? Outcome::kApplied
                                                              : Outcome::kWrongBase;
}

StoredActor& ActorStore::Slot(const ActorId& actor, Version version) {
  auto& slot = actors_[actor];
  if (slot == nullptr) slot = std::make_unique<StoredActor>();
  slot->version = version;
  recent_[version].push_back(actor);
  return *slot;
}

ActorStore::Outcome ActorStore::Apply(const ActorUpdate& update) {
  static const auto kEmpty = std::make_shared<const std::string>();
  Outcome outcome = Check(update);
  if (outcome != Outcome::kApplied) return outcome;
  StoredActor& held = Slot(update.actor, update.version);
  held.tombstone = update.kind == ActorUpdate::Kind::kTombstone;
  if (update.kind != ActorUpdate::Kind::kDelta) {
    held.state = kEmpty;
    held.records = RecordTable();
    held.reminders = nullptr;
    held.outbox = nullptr;
    held.watches = nullptr;
    held.hold = nullptr;
  }
  if (update.state != nullptr) held.state = update.state;
  if (update.reminders != nullptr) {
    held.reminders = update.reminders->empty() ? nullptr : update.reminders;
  }
  if (update.watches != nullptr) {
    held.watches = update.watches->empty() ? nullptr : update.watches;
  }
  if (update.outbox != nullptr) held.outbox = troupe::Apply(held.outbox, *update.outbox);
  if (update.hold != nullptr) held.hold = update.hold->holds() ? update.hold : nullptr;
  held.records.Replay(update.records);
  held.turn = update.turn;
  held.oldest_unsettled = update.oldest_unsettled;
  held.resume = update.resume;
  held.called = update.called;
  return outcome;
}

SharedUpdate ActorStore::Image(const ActorId& actor, Version stamp) const {
  auto update = std::make_shared<ActorUpdate>();
  update->actor = actor;
  update->version = stamp;
  const StoredActor* held = Find(actor);
  if (held == nullptr) {
    update->kind = ActorUpdate::Kind::kTombstone;
    return update;
  }
  update->kind = ActorUpdate::Kind::kImage;
  update->state = held->state;
  update->records = held->records.Whole();
  update->turn = held->turn;
  update->oldest_unsettled = held->oldest_unsettled;
  update->resume = held->resume;
  update->called = held->called;
  update->reminders = held->reminders;
  update->watches = held->watches;
  update->hold = held->hold;
  if (held->outbox != nullptr) {
    update->outbox = std::make_shared<const OutboxChanges>(Difference(nullptr, held->outbox));
  }
  return update;
}

std::vector<Report::Entry> ActorStore::ListAboveMark() const {
  std::vector<Report::Entry> out;
  for (const auto& [version, actors] : recent_) {
    for (const ActorId& actor : actors) {
      if (VersionOf(actor) == version) out.push_back({actor, version});
    }
  }
  std::sort(out.begin(), out.end(), ById);
  return out;
}

std::vector<Report::Entry> ActorStore::ListAll() const {
  std::vector<Report::Entry> out;
  out.reserve(actors_.size());
  for (const auto& [actor, held] : actors_) out.push_back({actor, held->version});
  std::sort(out.begin(), out.end(), ById);
  return out;
}

void ActorStore::RaiseMark(Version mark) {
  if (mark <= mark_) return;
  mark_ = mark;
  auto end = recent_.upper_bound(mark);
  for (auto it = recent_.begin(); it != end; ++it) {
    for (const ActorId& actor : it->second) {
      auto held = actors_.find(actor);
      if (held == actors_.end() || held->second->version != it->first) continue;
      if (held->second->tombstone) actors_.erase(held);
    }
  }
  recent_.erase(recent_.begin(), end);
}

void ActorStore::AgeRecords(absl::Time now) {
  for (auto& [actor, held] : actors_) {
    held->records.Age(now);
    held->records.ForgetChanges();
  }
}

std::vector<std::pair<ActorId, absl::Time>> ActorStore::ListReminders() const {
  std::vector<std::pair<ActorId, absl::Time>> out;
  for (const auto& [actor, held] : actors_) {
    if (held->reminders == nullptr || held->tombstone) continue;
    out.emplace_back(actor, ReminderTable(held->reminders).NextDue());
  }
  return out;
}

std::vector<std::pair<ActorId, WatchSnapshot>> ActorStore::ListWatches() const {
  std::vector<std::pair<ActorId, WatchSnapshot>> out;
  for (const auto& [actor, held] : actors_) {
    if (held->watches == nullptr || held->tombstone) continue;
    if (!held->watches->watched.empty()) out.emplace_back(actor, held->watches);
  }
  return out;
}

std::vector<ActorId> ActorStore::ListEmpty() const {
  std::vector<ActorId> out;
  for (const auto& [actor, held] : actors_) {
    const bool empty = held->state->empty() && held->records.empty() &&
                       held->reminders == nullptr && held->outbox == nullptr &&
                       held->watches == nullptr && held->hold == nullptr && !held->resume &&
                       !held->called;
    if (empty && !held->tombstone) out.push_back(actor);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<ActorId> ActorStore::ListToResume() const {
  std::vector<ActorId> out;
  for (const auto& [actor, held] : actors_) {
    const bool notices = held->watches != nullptr && held->watches->HasDue();
    const bool due = held->resume || held->outbox != nullptr || held->hold != nullptr || notices;
    if (due && !held->tombstone) out.push_back(actor);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace troupe
