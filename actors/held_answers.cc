#include "troupe/actors/held_answers.h"

#include <utility>

namespace troupe {

HeldAnswers::Dirty& HeldAnswers::Slot(const ActorId& actor) {
  auto [it, fresh] = dirty_.try_emplace(actor);
  if (fresh) order_.push_back(actor);
  return it->second;
}

void HeldAnswers::Stage(const ActorId& actor, ActorChange change) {
  Dirty& dirty = Slot(actor);
  if (dirty.staged.has_value()) {
    // Two images of one actor between cuts: the newer state, and both changes of the records.
    ActorChange& older = *dirty.staged;
    if (change.state == nullptr) change.state = older.state;
    if (change.reminders == nullptr) change.reminders = older.reminders;
    if (change.outbox == nullptr) change.outbox = older.outbox;
    if (change.watches == nullptr) change.watches = older.watches;
    if (change.hold == nullptr) change.hold = older.hold;
    dirty.record_bytes += change.records.bytes();
    older.records.Append(std::move(change.records));
    change.records = std::move(older.records);
    if (dirty.record_bytes > kRecordTableBytesMax) {
      change.records.Compact();
      dirty.record_bytes = change.records.bytes();
    }
  } else {
    dirty.record_bytes = change.records.bytes();
  }
  dirty.staged = std::move(change);
  dirty.live = false;
  dirty.for_staged.insert(dirty.for_staged.end(), dirty.for_live.begin(), dirty.for_live.end());
  dirty.for_live.clear();
}

void HeldAnswers::Hold(Held held, const ActorId& actor, HoldKind kind, uint64_t seq) {
  auto it = dirty_.find(actor);
  if (it != dirty_.end() && it->second.live && kind != HoldKind::kOutgoing) {
    it->second.for_live.push_back(held);
  } else if (it != dirty_.end() && it->second.staged.has_value()) {
    it->second.for_staged.push_back(held);
  } else {
    waiting_.emplace(seq, held);
  }
}

std::vector<std::pair<ActorId, ActorChange>> HeldAnswers::Cut(ActorSource& source, uint64_t seq,
                                                              size_t bytes_max) {
  std::vector<std::pair<ActorId, ActorChange>> out;
  std::vector<ActorId> left;
  size_t bytes = 0;
  for (ActorId& actor : order_) {
    Dirty& dirty = dirty_.find(actor)->second;
    std::optional<ActorChange> change;
    std::vector<Held> covered;
    if (bytes < bytes_max && dirty.staged.has_value() && dirty.live) {
      // One image for both, if no turn is open: else the last answer would wait for a batch more.
      if (auto newer = source.Encode(actor)) Stage(actor, std::move(*newer));
    }
    if (bytes < bytes_max && dirty.staged.has_value()) {
      change = std::exchange(dirty.staged, std::nullopt);
      covered = std::exchange(dirty.for_staged, {});
    } else if (bytes < bytes_max) {
      change = source.Encode(actor);
      if (change.has_value()) {
        dirty.live = false;
        covered = std::exchange(dirty.for_live, {});
      }
    }
    if (change.has_value()) {
      for (const Held& held : covered) waiting_.emplace(seq, held);
      bytes += 256 + change->records.bytes();
      bytes += change->state == nullptr ? 0 : change->state->size();
      out.emplace_back(actor, std::move(*change));
    }
    if (dirty.live || dirty.staged.has_value()) {
      left.push_back(std::move(actor));
    } else {
      dirty_.erase(out.back().first);
    }
  }
  order_ = std::move(left);
  return out;
}

void HeldAnswers::Release(uint64_t complete, uint64_t confirmed, std::vector<HoldToken>& out) {
  auto end = waiting_.upper_bound(complete);
  for (auto it = waiting_.begin(); it != end; it = waiting_.erase(it)) {
    const Held& held = it->second;
    if (held.confirmation <= confirmed) {
      out.push_back(held.token);
    } else {
      unconfirmed_.emplace(held.confirmation, held.token);
    }
  }
  auto sure = unconfirmed_.upper_bound(confirmed);
  for (auto it = unconfirmed_.begin(); it != sure; it = unconfirmed_.erase(it)) {
    out.push_back(it->second);
  }
}

std::vector<HoldToken> HeldAnswers::TakeAll() {
  std::vector<HoldToken> out;
  for (const auto& [confirmation, token] : unconfirmed_) out.push_back(token);
  for (const auto& [seq, held] : waiting_) out.push_back(held.token);
  for (const ActorId& actor : order_) {
    const Dirty& dirty = dirty_.find(actor)->second;
    for (const Held& held : dirty.for_staged) out.push_back(held.token);
    for (const Held& held : dirty.for_live) out.push_back(held.token);
  }
  *this = HeldAnswers();
  return out;
}

}  // namespace troupe
