#include "troupe/actors/call_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace troupe {

RecordLookup RecordTable::Judge(const CallRecord* record, uint64_t argument_hash) {
  using Kind = RecordLookup::Kind;
  if (record == nullptr) return {Kind::kUnknown, nullptr};
  if (record->argument_hash != argument_hash) return {Kind::kMismatch, nullptr};
  return {Kind::kKnown, record};
}

RecordLookup RecordTable::Lookup(const CallId& call, uint64_t argument_hash) const {
  using Kind = RecordLookup::Kind;
  if (const auto* c = std::get_if<ClientCall>(&call)) {
    if (c->sequence < c->first_incomplete) return {Kind::kStale, nullptr};
    auto client = clients_.find(c->client);
    if (client == clients_.end()) return {Kind::kUnknown, nullptr};
    if (c->sequence < client->second.floor) return {Kind::kStale, nullptr};
    auto record = client->second.records.find(c->sequence);
    bool found = record != client->second.records.end();
    return Judge(found ? &record->second : nullptr, argument_hash);
  }
  const auto& a = std::get<ActorCall>(call);
  if (a.turn < a.oldest_unsettled) return {Kind::kStale, nullptr};
  auto caller = callers_.find(a.caller);
  if (caller == callers_.end()) return {Kind::kUnknown, nullptr};
  const Caller& seen = caller->second;
  if (a.epoch < seen.epoch || a.lineage < seen.lineage) return {Kind::kRefused, nullptr};
  // A new lineage may count its turns anew; only its own mark says what is settled.
  if (a.lineage == seen.lineage && a.turn < seen.mark) return {Kind::kStale, nullptr};
  auto record = seen.records.find(a.id);
  return Judge(record != seen.records.end() ? &record->second : nullptr, argument_hash);
}

RecordTable::Client& RecordTable::Touch(absl::Time now, const Id128& id) {
  moved_clients_[id];
  Client& client = clients_[id];
  client.moved = std::max(client.moved, now);
  return client;
}

RecordTable::Caller& RecordTable::Touch(const ActorId& id) {
  moved_callers_[id];
  return callers_[id];
}

void RecordTable::DropBelow(Client& client, uint64_t floor) {
  client.floor = std::max(client.floor, floor);
  auto end = client.records.lower_bound(client.floor);
  record_count_ -= static_cast<size_t>(std::distance(client.records.begin(), end));
  client.records.erase(client.records.begin(), end);
}

void RecordTable::DropBelow(Caller& caller, uint64_t mark) {
  caller.mark = std::max(caller.mark, mark);
  record_count_ -= std::erase_if(caller.records, [&](const auto& record) {
    return !(record.second.turn & kPerhapsUndone) && record.second.turn < caller.mark;
  });
}

void RecordTable::AdvanceFloor(absl::Time now, const CallId& call) {
  if (const auto* c = std::get_if<ClientCall>(&call)) {
    DropBelow(Touch(now, c->client), c->first_incomplete);
    return;
  }
  const auto& a = std::get<ActorCall>(call);
  Caller& caller = Touch(a.caller);
  if (a.lineage > caller.lineage) {
    // The caller's shard lost its state. Its turns may count from the start again, but what it did
    // here stays done: the records live on under the turn that now repeats the calls.
    caller.lineage = a.lineage;
    caller.mark = 0;
    for (auto& [id, record] : caller.records) {
      record.turn = a.turn | kPerhapsUndone;
      record.answered = now;
      moved_callers_[a.caller].insert(id);
    }
  }
  if (a.epoch > caller.epoch) {
    // Turns of the old epoch that nobody had acknowledged are undone, and their numbers are used
    // again. A call such a turn had made here may be repeated by a later turn, under the same id.
    for (auto& [id, record] : caller.records) {
      if (record.turn & kPerhapsUndone) continue;
      record.turn |= kPerhapsUndone;
      record.answered = now;
      moved_callers_[a.caller].insert(id);
    }
    caller.epoch = a.epoch;
  }
  if (a.oldest_unsettled > caller.mark) DropBelow(caller, a.oldest_unsettled);
}

absl::Status RecordTable::CheckRoom(size_t open) const {
  if (record_count_ + open >= kRecordsMax) {
    return absl::ResourceExhaustedError(absl::StrCat("call records: ", record_count_, " kept and ",
                                                     open, " calls open, at most ", kRecordsMax));
  }
  size_t origins = std::max(clients_.size(), callers_.size());
  if (origins + open >= kRecordOriginsMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "call records: ", origins, " callers remembered, at most ", kRecordOriginsMax));
  }
  return absl::OkStatus();
}

void RecordTable::Add(absl::Time now, const CallId& call, uint64_t argument_hash,
                      RecordStatus status, std::string result) {
  CallRecord record;
  record.argument_hash = argument_hash;
  record.status = result.size() > kRecordResultBytesMax ? RecordStatus::kTooLarge : status;
  if (record.status == RecordStatus::kTooLarge) result.clear();
  record.result = std::make_shared<const std::string>(std::move(result));
  if (status != RecordStatus::kBegun) record.answered = now;

  if (const auto* c = std::get_if<ClientCall>(&call)) {
    Client& client = Touch(now, c->client);
    if (c->sequence < client.floor) return;  // Given up by its caller while it ran.
    record_count_ += client.records.insert_or_assign(c->sequence, std::move(record)).second;
    moved_clients_[c->client].insert(c->sequence);
    return;
  }
  const auto& a = std::get<ActorCall>(call);
  Caller& caller = Touch(a.caller);
  if (a.lineage == caller.lineage && a.turn < caller.mark) return;
  record.turn = a.turn;
  record_count_ += caller.records.insert_or_assign(a.id, std::move(record)).second;
  moved_callers_[a.caller].insert(a.id);
}

void RecordTable::Age(absl::Time now) {
  for (auto it = clients_.begin(); it != clients_.end();) {
    auto& [id, client] = *it;
    uint64_t floor = client.floor;
    for (const auto& [sequence, record] : client.records) {
      if (record.answered + kRecordAge <= now) floor = sequence + 1;
    }
    if (floor > client.floor) {
      DropBelow(client, floor);
      moved_clients_[id];
    }
    if (client.records.empty() && client.moved + kRecordAge <= now) {
      moved_clients_[id].clear();
      it = clients_.erase(it);
    } else {
      ++it;
    }
  }
  for (auto& [id, caller] : callers_) {
    record_count_ -= std::erase_if(caller.records, [&caller = caller, now](const auto& entry) {
      const CallRecord& record = entry.second;
      return (record.turn & kPerhapsUndone) && (record.turn & ~kPerhapsUndone) < caller.mark &&
             record.answered + kRecordAge <= now;
    });
  }
}

absl::Time RecordTable::NextAging() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, client] : clients_) {
    if (client.records.empty()) next = std::min(next, client.moved + kRecordAge);
    for (const auto& [sequence, record] : client.records) {
      next = std::min(next, record.answered + kRecordAge);
    }
  }
  for (const auto& [id, caller] : callers_) {
    for (const auto& [call, record] : caller.records) {
      if (record.turn & kPerhapsUndone) next = std::min(next, record.answered + kRecordAge);
    }
  }
  return next;
}

RecordChanges RecordTable::Whole() const {
  RecordChanges out;
  out.whole = true;
  for (const auto& [id, client] : clients_) {
    out.clients.push_back(
        {id, client.floor, client.moved, false, {client.records.begin(), client.records.end()}});
  }
  for (const auto& [id, caller] : callers_) {
    out.callers.push_back({id,
                           caller.lineage,
                           caller.epoch,
                           caller.mark,
                           {caller.records.begin(), caller.records.end()}});
  }
  return out;
}

void RecordTable::ForgetChanges() {
  moved_clients_.clear();
  moved_callers_.clear();
}

RecordChanges RecordTable::TakeWhole() {
  ForgetChanges();
  return Whole();
}

RecordChanges RecordTable::TakeChanges() {
  RecordChanges out;
  for (const auto& [id, sequences] : moved_clients_) {
    RecordChanges::Client& change = out.clients.emplace_back();
    change.client = id;
    auto client = clients_.find(id);
    change.dropped = client == clients_.end();
    if (change.dropped) continue;
    change.floor = client->second.floor;
    change.moved = client->second.moved;
    for (uint64_t sequence : sequences) {
      auto record = client->second.records.find(sequence);
      if (record != client->second.records.end()) change.records.push_back(*record);
    }
  }
  for (const auto& [id, ids] : moved_callers_) {
    const Caller& caller = callers_[id];
    RecordChanges::Caller& change = out.callers.emplace_back(
        RecordChanges::Caller{id, caller.lineage, caller.epoch, caller.mark, {}});
    for (const Id128& call : ids) {
      auto record = caller.records.find(call);
      if (record != caller.records.end()) change.records.push_back(*record);
    }
  }
  ForgetChanges();
  return out;
}

void RecordTable::Replay(const RecordChanges& changes) {
  if (changes.whole) *this = RecordTable();
  for (const RecordChanges::Client& change : changes.clients) {
    if (change.dropped) {
      auto gone = clients_.find(change.client);
      if (gone == clients_.end()) continue;
      record_count_ -= gone->second.records.size();
      clients_.erase(gone);
      continue;
    }
    Client& client = clients_[change.client];
    client.moved = std::max(client.moved, change.moved);
    for (const auto& [sequence, record] : change.records) {
      record_count_ += client.records.insert_or_assign(sequence, record).second;
    }
    DropBelow(client, change.floor);
  }
  for (const RecordChanges::Caller& change : changes.callers) {
    Caller& caller = callers_[change.caller];
    caller.lineage = change.lineage;
    caller.epoch = change.epoch;
    caller.mark = change.mark;  // May fall with a new lineage.
    for (const auto& [id, record] : change.records) {
      record_count_ += caller.records.insert_or_assign(id, record).second;
    }
    DropBelow(caller, change.mark);
  }
}

}  // namespace troupe
