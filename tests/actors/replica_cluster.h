// ReplicaCluster: the copies of one shard on a network and a register that a test moves by hand.
//
// Virtual time that the test advances; messages go through the wire form. Actors hold a list of
// words; a write appends one and is recorded under its call id.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "capnp/message.h"
#include "gtest/gtest.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/actors/shard_replica.h"

namespace troupe {

// The actors of one copy while it serves.
class WordActors : public ActorSource {
 public:
  struct Live {
    std::string words;
    RecordTable records;
    bool fresh = true;
    bool mid_turn = false;
    bool gone = false;
  };

  Live& Get(const ShardReplica& replica, const ActorId& id) {
    auto [it, fresh] = live_.try_emplace(id);
    const StoredActor* stored = fresh ? replica.store().Find(id) : nullptr;
    if (stored != nullptr) it->second = {*stored->state, stored->records, false, false, false};
    return it->second;
  }
  std::optional<ActorChange> Encode(const ActorId& id) override {
    Live& actor = live_.at(id);
    if (actor.mid_turn) return std::nullopt;
    return Take(actor);
  }
  static ActorChange Take(Live& actor) {
    ActorChange change;
    change.removed = actor.gone;
    change.state = std::make_shared<const std::string>(actor.words);
    change.records = actor.fresh ? actor.records.TakeWhole() : actor.records.TakeChanges();
    actor.fresh = actor.gone;
    return change;
  }
  bool Busy() const override { return busy; }
  void Drop() { live_.clear(); }
  bool busy = false;

 private:
  std::map<ActorId, Live> live_;
};

class ReplicaCluster {
 public:
  struct Copy {
    std::unique_ptr<WordActors> actors = std::make_unique<WordActors>();
    std::unique_ptr<ShardReplica> replica;
    std::vector<HoldToken> released;
    std::vector<std::pair<HoldToken, HoldFailure>> failed;
    std::vector<ServingChange> serving;
    std::optional<uint64_t> confirm;
  };

  // Nodes n1.. with boots 1..; the shard's primary is the first by placement.
  explicit ReplicaCluster(int nodes, uint32_t replicas = 3, ReplicaOptions options = {})
      : options_(options) {
    std::vector<Founder> founders;
    for (int i = 1; i <= nodes; ++i) {
      Founder founder;
      founder.name = "n" + std::to_string(i);
      founder.nonce = {1, static_cast<uint64_t>(i)};
      founder.types = {{77, "Word"}};
      founders.push_back(founder);
    }
    ClusterConfig config;
    config.shards = 1;
    config.replicas = replicas;
    state = Found({1, 1}, config, founders);
    for (CopyId i = 1; i <= static_cast<CopyId>(nodes); ++i) AddCopy(i);
    ShowMap();
    Run();
  }

  void AddCopy(CopyId id) {
    Copy& copy = copies[id];
    copy.replica = std::make_unique<ShardReplica>(0, id, options_, *copy.actors);
  }

  const ShardEntry& entry() const { return state.shards[0]; }
  CopyId primary() const { return entry().primary; }
  Copy& Leader() { return copies.at(primary()); }
  // Some in-sync copy other than the primary.
  CopyId Backup(int which = 0) const {
    for (CopyId id : entry().isr) {
      if (id != primary() && which-- == 0) return id;
    }
    return 0;
  }

  bool Do(const Command& command) {
    auto applied = Apply(state, command);
    if (!applied.ok()) return false;
    state = applied->state;
    return true;
  }
  void FenceCopy(CopyId id, Fence::Grounds grounds = Fence::Grounds::kEvidence) {
    const NodeEntry& node = *state.FindBoot(id);
    ASSERT_TRUE(Do(Fence{node.name, node.boot, node.generation, grounds}));
  }

  void ShowMap() {
    for (auto& [id, copy] : copies) {
      if (!cut_off.contains(id)) ShowMapTo(id);
    }
  }
  void ShowMapTo(CopyId id) {
    ReplicaEffects out;
    copies.at(id).replica->OnMap(now, ViewOf(state, 0, id), out);
    Take(id, out);
  }

  // Delivers everything, performs what is proposed, until nothing moves.
  void Run() {
    for (int i = 0; i < 1000; ++i) {
      Collect();
      if (network.empty() && proposed.empty() && !Confirm()) return;
      while (!network.empty()) DeliverOne();
      if (!register_down) ApplyProposed();
    }
    FAIL() << "does not come to rest";
  }
  void ApplyProposed() {
    for (Command& command : std::exchange(proposed, {})) Do(command);
    ShowMap();
  }
  void Collect() {
    for (auto& [id, copy] : copies) {
      ReplicaEffects out;
      copy.replica->Settle(now, out);
      for (CopyId peer : copy.replica->Peers()) {
        if (copy.replica->HasUnsent(peer)) copy.replica->CollectFor(now, peer, out);
      }
      Take(id, out);
    }
  }
  bool Confirm() {
    bool any = false;
    for (auto& [id, copy] : copies) {
      if (!copy.confirm.has_value() || register_down || cut_off.contains(id)) continue;
      ReplicaEffects out;
      copy.replica->OnReadConfirmed(now, *std::exchange(copy.confirm, std::nullopt),
                                    ViewOf(state, 0, id), out);
      Take(id, out);
      any = true;
    }
    return any;
  }
  void Advance(absl::Duration by, absl::Duration step = absl::Milliseconds(25)) {
    for (absl::Time end = now + by; now < end;) {
      now += step;
      for (auto& [id, copy] : copies) {
        ReplicaEffects out;
        copy.replica->Tick(now, absl::ZeroDuration(), out);
        Take(id, out);
      }
      Run();
    }
  }

  void DeliverOne() {
    auto [from, to, message] = std::move(network.front());
    network.pop_front();
    if (cut_off.contains(from) || cut_off.contains(to) || !copies.contains(to)) return;
    capnp::MallocMessageBuilder builder;
    auto root = builder.initRoot<wire::ReplicaMessage>();
    Encode(message, now, root);
    auto decoded = DecodeReplicaMessage(root.asReader(), now);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ReplicaEffects out;
    copies.at(to).replica->OnMessage(now, from, *decoded, out);
    Take(to, out);
  }

  // ---- Calls at one copy. A write gives its token; answered when Released().
  HoldToken Write(CopyId at, const std::string& key, const std::string& word, uint64_t sequence) {
    Copy& copy = copies.at(at);
    EXPECT_TRUE(copy.replica->Admit(CallKind::kMutating).ok());
    ActorId id{7, key};
    auto& actor = copy.actors->Get(*copy.replica, id);
    ClientCall call{{9, 9}, sequence, 0};
    if (actor.records.Lookup(call, 1).kind == RecordLookup::Kind::kUnknown) {
      actor.words += word;
      actor.records.Add(now, call, 1, RecordStatus::kOk, actor.words);
      copy.replica->MarkDirty(id);
    }
    return Hold(at, id, HoldKind::kAnswer, {});
  }
  HoldToken Read(CopyId at, const std::string& key) {
    ReplicaEffects out;
    ReadTicket ticket = copies.at(at).replica->StartRead(now, out);
    Take(at, out);
    return Hold(at, {7, key}, HoldKind::kRead, ticket);
  }
  HoldToken Hold(CopyId at, const ActorId& id, HoldKind kind, ReadTicket ticket) {
    ReplicaEffects out;
    HoldToken token = ++last_token_;
    copies.at(at).replica->Hold(now, token, id, kind, ticket, out);
    Take(at, out);
    return token;
  }
  bool Released(CopyId at, HoldToken token) const {
    const auto& released = copies.at(at).released;
    return std::find(released.begin(), released.end(), token) != released.end();
  }
  std::string Words(CopyId at, const std::string& key) const {
    const StoredActor* actor = copies.at(at).replica->store().Find({7, key});
    return actor == nullptr ? "-" : *actor->state;
  }

  void Take(CopyId from, ReplicaEffects& out) {
    Copy& copy = copies.at(from);
    for (auto& sent : out.send) network.push_back({from, sent.to, std::move(sent.message)});
    copy.released.insert(copy.released.end(), out.released.begin(), out.released.end());
    copy.failed.insert(copy.failed.end(), out.failed.begin(), out.failed.end());
    for (const ServingChange& change : out.serving) {
      if (change.kind == ServingChange::Kind::kStop) copy.actors->Drop();
      copy.serving.push_back(change);
    }
    if (!cut_off.contains(from)) {
      proposed.insert(proposed.end(), out.propose.begin(), out.propose.end());
    }
    if (out.confirm_read.has_value()) copy.confirm = out.confirm_read;
  }

  struct Sent {
    CopyId from;
    CopyId to;
    ReplicaMessage message;
  };
  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  ClusterState state;
  std::map<CopyId, Copy> copies;
  std::deque<Sent> network;
  std::vector<Command> proposed;
  std::set<CopyId> cut_off;
  bool register_down = false;

 private:
  ReplicaOptions options_;
  HoldToken last_token_ = 0;
};

}  // namespace troupe
