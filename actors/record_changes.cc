// RecordTable, part two: its changes as values.
#include <algorithm>
#include <utility>

#include "troupe/actors/call_record.h"

namespace troupe {
namespace {

// As replication.capnp encodes them, with their pointers; results and keys are filled up to words.
constexpr size_t kClientBytes = 64;
constexpr size_t kCallerBytes = 104;
constexpr size_t kRecordBytes = 80;

template <typename Records>
void DropOverwritten(Records& records) {
  auto by_id = [](const auto& a, const auto& b) { return a.first < b.first; };
  std::stable_sort(records.begin(), records.end(), by_id);
  auto kept = records.begin();
  for (auto it = records.begin(); it != records.end(); ++it) {
    if (std::next(it) != records.end() && std::next(it)->first == it->first) continue;
    if (kept != it) *kept = std::move(*it);
    ++kept;
  }
  records.erase(kept, records.end());
}

template <typename Records>
void MoveTo(Records& to, Records& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

size_t RecordTable::encoded_bytes() const {
  return clients_.size() * kClientBytes + callers_.size() * kCallerBytes + key_bytes_ +
         record_count_ * kRecordBytes + result_bytes_;
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
                           caller.moved,
                           false,
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
    RecordChanges::Caller& change = out.callers.emplace_back();
    change.caller = id;
    auto known = callers_.find(id);
    change.dropped = known == callers_.end();
    if (change.dropped) continue;
    const Caller& caller = known->second;
    change.lineage = caller.lineage;
    change.epoch = caller.epoch;
    change.mark = caller.mark;
    change.moved = caller.moved;
    for (const Id128& call : ids) {
      auto record = caller.records.find(call);
      if (record != caller.records.end()) change.records.push_back(*record);
    }
  }
  ForgetChanges();
  return out;
}

size_t RecordChanges::bytes() const {
  size_t bytes = 0;
  for (const Client& client : clients) {
    bytes += kClientBytes;
    for (const auto& [sequence, record] : client.records) {
      bytes += kRecordBytes + record.result->size();
    }
  }
  for (const Caller& caller : callers) {
    bytes += kCallerBytes + caller.caller.key.size();
    for (const auto& [id, record] : caller.records) bytes += kRecordBytes + record.result->size();
  }
  return bytes;
}

void RecordChanges::Append(RecordChanges&& later) {
  if (later.whole) {
    *this = std::move(later);
    return;
  }
  MoveTo(clients, later.clients);
  MoveTo(callers, later.callers);
}

// Replaying the outcome is the same as replaying all in turn: one entry per origin, but for clients
// that were dropped in between and for callers of another lineage, whose marks do not compare.
void RecordChanges::Compact() {
  std::vector<Client> old_clients = std::exchange(clients, {});
  std::map<Id128, size_t> client_at;
  for (Client& change : old_clients) {
    auto [at, fresh] = client_at.try_emplace(change.client, clients.size());
    if (fresh || change.dropped || clients[at->second].dropped) {
      if (!fresh && change.dropped) clients[at->second].records.clear();
      at->second = clients.size();
      clients.push_back(std::move(change));
      continue;
    }
    Client& kept = clients[at->second];
    kept.floor = std::max(kept.floor, change.floor);
    kept.moved = std::max(kept.moved, change.moved);
    MoveTo(kept.records, change.records);
  }
  for (Client& client : clients) {
    DropOverwritten(client.records);
    std::erase_if(client.records, [&](const auto& entry) { return entry.first < client.floor; });
  }
  std::vector<Caller> old_callers = std::exchange(callers, {});
  std::map<ActorId, size_t> caller_at;
  for (Caller& change : old_callers) {
    auto [at, fresh] = caller_at.try_emplace(change.caller, callers.size());
    const bool apart = fresh || change.dropped || callers[at->second].dropped ||
                       change.lineage != callers[at->second].lineage;
    if (apart) {
      at->second = callers.size();
      callers.push_back(std::move(change));
      continue;
    }
    Caller& kept = callers[at->second];
    kept.epoch = change.epoch;
    kept.mark = change.mark;
    kept.moved = std::max(kept.moved, change.moved);
    MoveTo(kept.records, change.records);
  }
  for (Caller& caller : callers) {
    DropOverwritten(caller.records);
    std::erase_if(caller.records, [&](const auto& entry) {
      const uint64_t turn = entry.second.turn;
      return !(turn & kPerhapsUndone) && turn < caller.mark;
    });
  }
}

}  // namespace troupe
