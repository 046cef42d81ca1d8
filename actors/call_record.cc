#include "troupe/actors/call_record.h"

#include <algorithm>
#include <functional>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

// A table may come back over the bound at once; looking for the oldest results is not for each
// call.
constexpr size_t Relieved(size_t bound) { return bound / 4 * 3; }

}  // namespace

RecordLookup RecordTable::Judge(const CallRecord* record, uint64_t argument_hash) {
  using Kind = RecordLookup::Kind;
  if (record == nullptr) return {Kind::kUnknown, nullptr};
  if (record->argument_hash != argument_hash) return {Kind::kMismatch, nullptr};
  return {Kind::kKnown, record};
}

RecordLookup RecordTable::Lookup(const CallId& call, uint64_t argument_hash,
                                 const ReplicaMutations& mutations) const {
  using Kind = RecordLookup::Kind;
  if (const auto* c = std::get_if<ClientCall>(&call)) {
    if (c->sequence < c->first_incomplete) return {Kind::kStale, nullptr};
    auto client = clients_.find(c->client);
    if (client == clients_.end()) return {Kind::kUnknown, nullptr};
    if (c->sequence < client->second.floor && !mutations.floor_forgotten)
      return {Kind::kStale, nullptr};
    const auto& records = client->second.records;
    auto record = records.lower_bound(c->sequence);
    if (record == records.end()) return {Kind::kUnknown, nullptr};
    if (record->first == c->sequence) return Judge(&record->second, argument_hash);
    return {mutations.overtaken_runs ? Kind::kUnknown : Kind::kOvertaken, nullptr};
  }
  const auto& a = std::get<ActorCall>(call);
  if (a.turn < a.oldest_unsettled) return {Kind::kStale, nullptr};
  auto caller = callers_.find(a.caller);
  if (caller == callers_.end()) return {Kind::kUnknown, nullptr};
  const Caller& seen = caller->second;
  const bool lower = a.epoch < seen.epoch || a.lineage < seen.lineage;
  if (lower && !mutations.lower_caller_epoch) return {Kind::kRefused, nullptr};
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

RecordTable::Caller& RecordTable::Touch(absl::Time now, const ActorId& id) {
  moved_callers_[id];
  auto [it, fresh] = callers_.try_emplace(id);
  if (fresh) key_bytes_ += id.key.size();
  it->second.moved = std::max(it->second.moved, now);
  return it->second;
}

void RecordTable::Uncount(const CallRecord& record) {
  --record_count_;
  result_bytes_ -= record.result->size();
}

template <typename Id>
void RecordTable::Put(std::map<Id, CallRecord>& records, const Id& id, CallRecord record) {
  result_bytes_ += record.result->size();
  auto [it, fresh] = records.try_emplace(id);
  if (fresh) {
    ++record_count_;
  } else {
    result_bytes_ -= it->second.result->size();
  }
  it->second = std::move(record);
}

// What is forgotten first has waited longest for its caller to say that it has the answer.
void RecordTable::BoundResults(const CallRecord& newest) {
  auto bound = [this] {
    const size_t rest = std::min(encoded_bytes() - result_bytes_, kRecordTableBytesMax);
    return std::min(kRecordResultsBytesMax, kRecordTableBytesMax - rest);
  };
  if (result_bytes_ <= bound()) return;
  std::vector<std::pair<CallRecord*, std::function<void()>>> oldest;
  for (auto& [id, client] : clients_) {
    for (auto& [sequence, record] : client.records) {
      if (record.result->empty() || &record == &newest) continue;
      oldest.push_back({&record, [this, &id = id, &sequence = sequence] {
                          moved_clients_[id].insert(sequence);
                        }});
    }
  }
  for (auto& [id, caller] : callers_) {
    for (auto& [call, record] : caller.records) {
      if (record.result->empty() || &record == &newest) continue;
      oldest.push_back(
          {&record, [this, &id = id, &call = call] { moved_callers_[id].insert(call); }});
    }
  }
  std::stable_sort(oldest.begin(), oldest.end(), [](const auto& a, const auto& b) {
    return a.first->answered < b.first->answered;
  });
  static const auto kGone = std::make_shared<const std::string>();
  const size_t wanted = Relieved(bound());
  for (auto& [record, mark_moved] : oldest) {
    if (result_bytes_ <= wanted) return;
    result_bytes_ -= record->result->size();
    record->result = kGone;
    record->status = RecordStatus::kTooLarge;
    mark_moved();
  }
}

void RecordTable::DropBelow(Client& client, uint64_t floor) {
  client.floor = std::max(client.floor, floor);
  auto end = client.records.lower_bound(client.floor);
  for (auto it = client.records.begin(); it != end; ++it) Uncount(it->second);
  client.records.erase(client.records.begin(), end);
}

void RecordTable::DropBelow(Caller& caller, uint64_t mark) {
  caller.mark = std::max(caller.mark, mark);
  std::erase_if(caller.records, [&](const auto& entry) {
    const CallRecord& record = entry.second;
    const bool settled = !(record.turn & kPerhapsUndone) && record.turn < caller.mark;
    if (settled) Uncount(record);
    return settled;
  });
}

void RecordTable::AdvanceFloor(absl::Time now, const CallId& call,
                               const ReplicaMutations& mutations) {
  if (const auto* c = std::get_if<ClientCall>(&call)) {
    DropBelow(Touch(now, c->client), mutations.floor_too_high ? c->sequence : c->first_incomplete);
    return;
  }
  const auto& a = std::get<ActorCall>(call);
  Caller& caller = Touch(now, a.caller);
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

bool RecordTable::Settle(absl::Time now, const ActorCall& last) {
  auto known = callers_.find(last.caller);
  if (known == callers_.end()) return false;
  const Caller& seen = known->second;
  if (last.epoch < seen.epoch || last.lineage < seen.lineage) return false;
  const bool same = last.epoch == seen.epoch && last.lineage == seen.lineage;
  if (same && last.oldest_unsettled <= seen.mark) return false;
  AdvanceFloor(now, last);
  return true;
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
    Put(client.records, c->sequence, std::move(record));
    moved_clients_[c->client].insert(c->sequence);
    return BoundResults(client.records.at(c->sequence));
  }
  const auto& a = std::get<ActorCall>(call);
  Caller& caller = Touch(now, a.caller);
  if (a.epoch < caller.epoch || a.lineage < caller.lineage) {
    // It began under an earlier epoch of its caller: what AdvanceFloor() has done to the records
    // that were there holds for this one.
    const uint64_t turn = a.lineage == caller.lineage ? a.turn : std::max(a.turn, caller.mark);
    record.turn = turn | kPerhapsUndone;
  } else {
    if (a.lineage == caller.lineage && a.turn < caller.mark) return;
    record.turn = a.turn;
  }
  Put(caller.records, a.id, std::move(record));
  moved_callers_[a.caller].insert(a.id);
  BoundResults(caller.records.at(a.id));
}

bool RecordTable::Age(absl::Time now) {
  bool single = false;
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
  for (auto it = callers_.begin(); it != callers_.end();) {
    auto& [id, caller] = *it;
    const size_t gone =
        std::erase_if(caller.records, [this, &caller = caller, now](const auto& entry) {
          const CallRecord& record = entry.second;
          const bool over = (record.turn & kPerhapsUndone) &&
                            (record.turn & ~kPerhapsUndone) < caller.mark &&
                            record.answered + kRecordAge <= now;
          if (over) Uncount(record);
          return over;
        });
    single |= gone > 0;
    if (caller.records.empty() && caller.moved + kRecordAge <= now) {
      moved_callers_[id].clear();
      key_bytes_ -= id.key.size();
      it = callers_.erase(it);
    } else {
      ++it;
    }
  }
  return single;
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
    if (caller.records.empty()) next = std::min(next, caller.moved + kRecordAge);
    for (const auto& [call, record] : caller.records) {
      if (record.turn & kPerhapsUndone) next = std::min(next, record.answered + kRecordAge);
    }
  }
  return next;
}

uint64_t RecordTable::Fingerprint() const {
  uint64_t hash = 0;
  const auto mix = [&hash](const auto&... values) { ((hash = absl::HashOf(hash, values)), ...); };
  const auto mix_record = [&mix](const CallRecord& record) {
    mix(record.argument_hash, static_cast<int>(record.status), *record.result, record.turn);
  };
  for (const auto& [id, client] : clients_) {
    mix(id, client.floor, client.records.size());
    for (const auto& [sequence, record] : client.records) {
      mix(sequence);
      mix_record(record);
    }
  }
  for (const auto& [id, caller] : callers_) {
    mix(id, caller.lineage, caller.epoch, caller.mark, caller.records.size());
    for (const auto& [call, record] : caller.records) {
      mix(call);
      mix_record(record);
    }
  }
  return hash;
}

void RecordTable::Replay(const RecordChanges& changes) {
  if (changes.whole) *this = RecordTable();
  for (const RecordChanges::Client& change : changes.clients) {
    if (change.dropped) {
      auto gone = clients_.find(change.client);
      if (gone == clients_.end()) continue;
      for (const auto& [sequence, record] : gone->second.records) Uncount(record);
      clients_.erase(gone);
      continue;
    }
    Client& client = clients_[change.client];
    client.moved = std::max(client.moved, change.moved);
    for (const auto& [sequence, record] : change.records) {
      Put(client.records, sequence, record);
    }
    DropBelow(client, change.floor);
  }
  for (const RecordChanges::Caller& change : changes.callers) {
    if (change.dropped) {
      auto gone = callers_.find(change.caller);
      if (gone == callers_.end()) continue;
      for (const auto& [id, record] : gone->second.records) Uncount(record);
      key_bytes_ -= change.caller.key.size();
      callers_.erase(gone);
      continue;
    }
    auto [it, fresh] = callers_.try_emplace(change.caller);
    if (fresh) key_bytes_ += change.caller.key.size();
    Caller& caller = it->second;
    caller.lineage = change.lineage;
    caller.epoch = change.epoch;
    caller.mark = change.mark;  // May fall with a new lineage.
    caller.moved = std::max(caller.moved, change.moved);
    for (const auto& [id, record] : change.records) {
      Put(caller.records, id, record);
    }
    DropBelow(caller, change.mark);
  }
}

}  // namespace troupe
