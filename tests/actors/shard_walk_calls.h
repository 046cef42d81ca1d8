// ShardWalk, part three: actors, calls, and the judgement of answers.
#pragma once

#include <algorithm>
#include <cstdio>
#include <utility>

#include "shard_walk.h"

namespace troupe {

// The live actors of a copy that serves.
class ShardWalk::Actors final : public ActorSource {
 public:
  enum class Turn : uint8_t { kNone, kReading, kWriting };
  struct Live {
    std::string calls;  // One byte each: the number of the call.
    RecordTable records;
    bool fresh = true;  // Not in the store: the next change is whole.
    bool gone = false;
    bool dirty = false;
    Turn turn = Turn::kNone;
    Request request;
    ReadTicket ticket;
  };

  Live& Get(const ShardReplica& replica, const ActorId& id) {
    auto [it, fresh] = live_.try_emplace(id);
    const StoredActor* stored = fresh ? replica.store().Find(id) : nullptr;
    if (stored != nullptr) {
      it->second.calls = *stored->state;
      it->second.records = stored->records;
      it->second.fresh = false;
    }
    return it->second;
  }
  std::map<ActorId, Live>& all() { return live_; }
  // Passivation: what is in the store can be had from there again.
  void DropIdle() {
    std::erase_if(live_, [](const auto& entry) {
      const Live& actor = entry.second;
      return !actor.dirty && !actor.fresh && !actor.gone && actor.turn == Turn::kNone;
    });
  }

  static ActorChange Take(Live& actor) {
    ActorChange change;
    change.removed = actor.gone;
    change.state = std::make_shared<const std::string>(actor.calls);
    change.records = actor.fresh ? actor.records.TakeWhole() : actor.records.TakeChanges();
    actor.fresh = actor.gone;
    actor.dirty = false;
    return change;
  }
  std::optional<ActorChange> Encode(const ActorId& id) override {
    Live& actor = live_.at(id);
    if (actor.turn == Turn::kWriting) return std::nullopt;
    return Take(actor);
  }
  bool Busy() const override {
    return std::any_of(live_.begin(), live_.end(),
                       [](const auto& entry) { return entry.second.turn != Turn::kNone; });
  }

 private:
  std::map<ActorId, Live> live_;
};

inline ActorId WalkActor(int actor) { return {1, std::string(1, static_cast<char>('a' + actor))}; }

inline int ShardWalk::NewCall(bool write, int actor, int client) {
  if (calls_.size() >= kCallsMax) return -1;
  calls_.push_back({write, actor, client, sequences_[client]++, answered_[actor].size(), false});
  return static_cast<int>(calls_.size()) - 1;
}

inline void ShardWalk::CallSomewhere(const Step& step) {
  auto [act, a, b, c] = step;
  if (a % 3) NewCall(b % 2, static_cast<int>(b >> 1 & 1), static_cast<int>(b >> 2 & 1));
  if (calls_.empty()) return;
  size_t last = calls_.size() - 1;
  int index = static_cast<int>(c % 4 ? last : (c >> 2) % calls_.size());
  Request request{static_cast<int>((c >> 8) % static_cast<uint32_t>(count_)), index, 0};
  uint32_t luck = c >> 12;
  int current = ActingPrimary(false);
  int old = ActingPrimary(true);
  if (luck % 8 && current >= 0) request.node = current;
  if (luck % 3 == 0 && old >= 0) request.node = old;
  const Call& call = calls_[index];
  request.first_incomplete = call.sequence;
  for (const Call& other : calls_) {
    if (other.client == call.client && !other.answered) {
      request.first_incomplete = std::min(request.first_incomplete, other.sequence);
    }
  }
  if (b & 64) Post({0, {}, request});
  if ((b & 128) && Runs(request.node)) {
    Serve(request.node, request, b & 256 && b & 512);
  } else {
    Post({0, {}, request});
  }
}

inline void ShardWalk::Serve(int node, const Request& request, bool waits) {
  Node& n = nodes_[node];
  if (n.replica == nullptr) return;
  const Call& call = calls_[request.call];
  CallKind kind = call.write ? CallKind::kMutating : CallKind::kReadOnly;
  if (!n.replica->Admit(kind).ok()) return;
  if (!n.serving) return Fail("admitted by a copy that was told to stop");
  for (const auto& [token, held] : n.held) {
    if (held.call == request.call) return;  // Known and finished: its answer is on its way.
  }
  ActorId id = WalkActor(call.actor);
  Actors::Live& actor = n.actors->Get(*n.replica, id);
  if (actor.turn != Actors::Turn::kNone) return;  // Queued, and then lost.
  actor.request = request;
  if (!call.write) {
    ReplicaEffects out;
    actor.ticket = n.replica->StartRead(Clock(node), out);
    leased_reads += actor.ticket.confirmation == 0;
    Say("read " + std::to_string(request.call) + " starts at node " + std::to_string(node) +
        (actor.ticket.confirmation == 0 ? " under lease" : " to be confirmed"));
    Take(node, out);
    actor.turn = Actors::Turn::kReading;
    if (!waits) FinishTurn(node, call.actor);
    return;
  }
  ClientCall name{{7, static_cast<uint64_t>(call.client)}, call.sequence, request.first_incomplete};
  RecordLookup found = actor.records.Lookup(name, static_cast<uint64_t>(request.call));
  if (found.kind == RecordLookup::Kind::kKnown) {
    return Hold(node, request.call, HoldKind::kAnswer, {}, *found.record->result);
  }
  if (found.kind == RecordLookup::Kind::kMismatch) return Fail("a record has other arguments");
  if (found.kind != RecordLookup::Kind::kUnknown) return;
  actor.turn = Actors::Turn::kWriting;
  if (!waits) return FinishTurn(node, call.actor);
  if (actor.dirty) n.replica->Stage(id, Actors::Take(actor));
}

inline void ShardWalk::FinishTurn(int node, int which) {
  Node& n = nodes_[node];
  if (n.replica == nullptr || !n.serving) return;
  ActorId id = WalkActor(which);
  auto it = n.actors->all().find(id);
  if (it == n.actors->all().end() || it->second.turn == Actors::Turn::kNone) return;
  Actors::Live& actor = it->second;
  bool reading = std::exchange(actor.turn, Actors::Turn::kNone) == Actors::Turn::kReading;
  const Call& call = calls_[actor.request.call];
  if (reading) return Hold(node, actor.request.call, HoldKind::kRead, actor.ticket, actor.calls);
  ClientCall name{
      {7, static_cast<uint64_t>(call.client)}, call.sequence, actor.request.first_incomplete};
  actor.calls += static_cast<char>(actor.request.call);
  actor.records.AdvanceFloor(Clock(node), name);
  actor.records.Add(Clock(node), name, static_cast<uint64_t>(actor.request.call), RecordStatus::kOk,
                    actor.calls);
  actor.dirty = true;
  n.replica->MarkDirty(id);
  Say("write " + std::to_string(actor.request.call) + " runs at node " + std::to_string(node));
  Hold(node, actor.request.call, HoldKind::kAnswer, {}, actor.calls);
}

// An actor that comes and goes: what it holds is only compared between copies.
inline void ShardWalk::TouchTemp(int node) {
  Node& n = nodes_[node];
  if (!Runs(node) || n.replica == nullptr || !n.replica->Admit(CallKind::kMutating).ok()) return;
  ActorId id{2, "temp" + std::to_string(temps_ % 2)};
  Actors::Live& actor = n.actors->Get(*n.replica, id);
  bool there = !actor.fresh && !actor.gone;
  actor.gone = there && temps_ % 3 == 0;
  actor.calls = actor.gone ? "" : std::to_string(++temps_);
  if (actor.gone) ++temps_;
  actor.dirty = true;
  n.replica->MarkDirty(id);
}

inline void ShardWalk::Hold(int node, int call, HoldKind kind, ReadTicket ticket,
                            std::string result) {
  Node& n = nodes_[node];
  HoldToken token = ++last_token_;
  n.held[token] = {call, std::move(result)};
  ReplicaEffects out;
  n.replica->Hold(Clock(node), token, WalkActor(calls_[call].actor), kind, ticket, out);
  Take(node, out);
}

// ---- Judgement

inline void ShardWalk::Answer(int node, const Held& held) {
  Call& call = calls_[held.call];
  const std::string& result = held.result;
  std::string& history = answered_[call.actor];
  ++answers;
  reads += !call.write;
  Epoch epoch = nodes_[node].replica->epoch();
  Say("ANSWER by node " + std::to_string(node) + " epoch " + std::to_string(epoch) + " call " +
      std::to_string(held.call) + " length " + std::to_string(result.size()));
  if (epoch != 0) {
    auto [by, first] = answered_by_.try_emplace(epoch, nodes_[node].boot);
    if (by->second != nodes_[node].boot) return Fail("two copies answer in one epoch");
  }
  size_t common = std::min(result.size(), history.size());
  if (result.compare(0, common, history, 0, common) != 0) {
    return Fail("an answered state is lost or forked");
  }
  for (size_t i = 0; i < result.size(); ++i) {
    if (result.find(result[i], i + 1) != std::string::npos) return Fail("a call took effect twice");
  }
  size_t at = result.find(static_cast<char>(held.call));
  if (call.write && at == std::string::npos) return Fail("an answered write has no effect");
  if (call.write && at < call.known) {
    return Fail("a write is ordered before an earlier answer");
  }
  if (!call.write && result.size() < call.known)
    return Fail("a read is older than an earlier answer");
  if (result.size() > history.size()) history = result;
  call.answered = true;
}

inline void ShardWalk::Fail(const std::string& what) {
  Say("VIOLATION: " + what);
  if (violation_.empty()) violation_ = what;
}

// Equal versions mean equal contents, whoever holds them.
inline void ShardWalk::CheckStore(int node) {
  const ActorStore& store = nodes_[node].replica->store();
  for (const Report::Entry& entry : store.ListAll()) {
    const StoredActor* actor = store.Find(entry.actor);
    std::string content = actor == nullptr ? "tombstone" : "has " + *actor->state;
    if (actor != nullptr && !mutations_.record_outside_batch) {
      content += " and " + std::to_string(actor->records.record_count());
    }
    auto [it, fresh] = contents_.try_emplace({entry.actor, entry.version}, content);
    if (!fresh && it->second != content) Fail("one version has two contents");
  }
}

// A copy that says it holds the epoch up to a batch holds there what the primary holds.
inline void ShardWalk::CheckSynced(int node, const ReplicaMessage& message) {
  const Ack& ack = std::get<Ack>(message.body);
  int leader = NodeOf(message.primary);
  if (ack.sync != SyncState::kSynced || leader < 0) return;
  const ShardReplica& primary = *nodes_[leader].replica;
  if (primary.position() != Version{message.epoch, ack.seq}) return;
  const ActorStore& ours = nodes_[node].replica->store();
  auto check = [&](const ActorId& id) {
    bool neither = ours.Find(id) == nullptr && primary.store().Find(id) == nullptr;
    if (!neither && ours.VersionOf(id) != primary.store().VersionOf(id)) {
      // A learner holds what the next batch restamps, until it joins.
      bool member = std::binary_search(shard().isr.begin(), shard().isr.end(), nodes_[node].boot);
      if (member && primary.view().entry.epoch == shard().epoch) {
        Fail("a copy in sync differs from its primary");
      }
    }
  };
  for (const Report::Entry& entry : ours.ListAll()) check(entry.actor);
  for (const Report::Entry& entry : primary.store().ListAll()) check(entry.actor);
}

inline void ShardWalk::Say(const std::string& what) const {
  if (verbose_)
    std::printf("  t=%.1f ms  %s\n", static_cast<double>(time_us_) / 1000, what.c_str());
}

}  // namespace troupe
