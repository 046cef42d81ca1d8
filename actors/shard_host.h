// ShardHost: one copy of one shard in its worker: the replica, and the activations while it serves.
//
// Single loop. The thin shell around ShardReplica: gives it maps, messages and time, performs its
// effects, admits calls, and keeps the answers that the replica holds.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "troupe/actors/activation.h"
#include "troupe/actors/due_heap.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/actors/shard_journal.h"
#include "troupe/actors/shard_replica.h"
#include "troupe/actors/watch_index.h"
#include "troupe/runtime/host.h"

namespace troupe {

class ShardHost final : private ActorSource, private Activation::Shard {
 public:
  // What a copy needs of its worker. Outlives it.
  class Worker {
   public:
    virtual void SendTo(CopyId copy, ReplicaMessage message) = 0;
    // To the coordinator; the replica repeats it until the map shows that it is settled.
    virtual void Propose(Command command) = 0;
    // A register write-back begun after now, then OnConfirmed(shard, id, map).
    virtual void ConfirmRead(ShardId shard, uint64_t id) = 0;
    // Runs `read` when those before it have ended: one shard is read at a time.
    virtual kj::Promise<void> ReadInTurn(kj::Function<kj::Promise<void>()> read) = 0;
    // The disk failed, or what it has cannot be used: this process has to end.
    virtual void OnDiskFailure(std::string why) = 0;
    // Settle() is to be called when this turn of the loop ends.
    virtual void Touch(ShardId shard) = 0;
    virtual Router& router() = 0;
    virtual TurnSlice& slice() = 0;
    virtual LoopWatch& loop_watch() = 0;
    virtual uint64_t map_version() const = 0;
    virtual const ClusterState& map() const = 0;  // There is one.
    // For errors: what the actor is called, and which nodes host its type as this one does not.
    virtual std::string NameOf(const ActorId& actor) const = 0;
    virtual std::string WhyNotHosted(const ActorId& actor) const = 0;
    virtual const std::string& node() const = 0;

   protected:
    ~Worker() = default;
  };

  // `journal`: of a durable shard (options.durable), else null. What it has is read first; until
  // then the copy hears and says nothing.
  ShardHost(Host& host, const Registry& registry, Worker& worker, ShardId shard, CopyId self,
            const ReplicaOptions& options, std::unique_ptr<ShardJournal> journal = nullptr);
  ~ShardHost() noexcept override;

  void OnMap(const ClusterState& map);
  void OnMessage(CopyId from, const ReplicaMessage& message);
  void OnConfirmed(uint64_t id, const ClusterState& map);
  void Tick(absl::Time now, absl::Duration stalled);
  void Settle(absl::Time now);
  void CheckDeadlines(absl::Time now);

  // Answers `call` now or later.
  void Deliver(kj::Own<InboundCall> call);

  // Hands the shard to another in-sync copy. False when it cannot now.
  bool BeginMove(CopyId to);

  bool restoring() const { return restoring_; }
  ShardReplica& replica() { return replica_; }
  const ShardReplica& replica() const { return replica_; }
  void CollectFor(absl::Time now, CopyId peer);
  size_t activation_count() const { return activations_.size(); }
  const std::set<ActorId>& suspended() const { return suspended_; }
  // "Counter/alice: a timer failed: ..."; empty when it is not active here.
  std::string WhySuspended(const ActorId& actor) const;
  uint64_t answered() const { return answered_; }
  // Adds what activations are at, until there are `most`.
  void AddOpenTurns(std::vector<std::string>& out, size_t most) const;

 private:
  // ActorSource
  std::optional<ActorChange> Encode(const ActorId& actor) override;
  bool Busy() const override;
  // Activation::Shard
  uint64_t lineage() const override { return replica_.view().entry.lineage; }
  Epoch epoch() const override { return replica_.epoch(); }
  void Dirty(const ActorId& actor) override;
  void Stage(const ActorId& actor, ActorChange change) override;
  void Hold(const ActorId& actor, HoldKind kind, ReadTicket ticket, Done done) override;
  ReadTicket StartRead() override;
  Router& router() override { return worker_.router(); }
  const ReplicaMutations& mutations() const override { return mutations_; }
  std::string NameOf(const ActorId& actor) const override { return worker_.NameOf(actor); }
  const std::string& node() const override { return worker_.node(); }
  TurnSlice& slice() override { return worker_.slice(); }
  LoopWatch& loop_watch() override { return worker_.loop_watch(); }
  const ClusterState& map() const override { return worker_.map(); }
  void Watch(Activation& activation) override;
  void Retire(Activation& activation) override;
  void RemindAt(const ActorId& actor, absl::Time due) override { reminders_.Set(actor, due); }
  void OnSuspended(const ActorId& actor, bool suspended) override;
  void SetWatches(const ActorId& actor, const WatchSnapshot& watches) override {
    watches_.Set(actor, watches);
  }

  void Restore();
  void Begin(RestoredCopy restored);
  void ToDisk(const DiskWrite& write);
  void Perform(ReplicaEffects& effects);
  bool InOrder(const CallLane& lane);
  void RefuseLane(const CallLane& lane);
  void OnServing(const ServingChange& change);
  void StartServing();
  void StopServing();
  void Unpark();
  void Take(kj::Own<InboundCall> call, const ActorType& type);
  bool Awaited(const InboundCall& call) const;
  Activation& Activate(const ActorId& id, const ActorType& type);
  void Give(kj::Own<InboundCall> call, const ActorType& type);
  void Unsuspend(kj::Own<InboundCall> call);
  void Bury(kj::Own<Activation> activation);
  void RemindDue();
  void CompareWatches();
  void ForgetErased(absl::Time now);

  Host& host_;
  const Registry& registry_;
  Worker& worker_;
  const ShardId shard_;
  const CopyId self_;
  const ReplicaMutations mutations_;
  ShardReplica replica_;
  const std::unique_ptr<ShardJournal> journal_;  // Null: not durable.
  bool restoring_ = false;                       // What the disk has is being read.
  absl::Time deadline_ = absl::InfinitePast();   // The replica's next; infinite past: to be asked.
  std::map<ActorId, kj::Own<Activation>> activations_;
  absl::flat_hash_map<HoldToken, Done> holds_;
  HoldToken next_token_ = 1;
  // Which attempt of a lane runs here, since which start of serving; 0: it was refused.
  struct LaneState {
    uint32_t attempt;
    uint64_t served;
  };
  absl::flat_hash_map<std::pair<uint64_t, uint64_t>, LaneState> lanes_;
  uint64_t served_ = 0;  // Times that this copy has begun to serve.
  // Calls that wait while a move is under way, and behind those that did.
  std::deque<kj::Own<InboundCall>> parked_;
  bool unparking_ = false;
  bool admitting_ = false;
  uint64_t answered_ = 0;
  std::vector<Activation*> watched_;  // Null: gone since the last look.
  DueHeap idle_;                      // When those that are not watched are idle for long enough.
  DueHeap reminders_;                 // Of all actors that have any, active or not. Wall clock.
  WatchIndex watches_;                // Of all actors that watch others, active or not.
  std::set<ActorId> suspended_;
  absl::Time forgotten_ = absl::InfinitePast();  // When erased actors were last looked for.
  std::vector<kj::Own<Activation>> graveyard_;
  bool sweeping_ = false;              // Or about to.
  kj::Promise<void> sweep_ = nullptr;  // Empties the graveyard, on a clean stack.

  struct DiskErrors final : kj::TaskSet::ErrorHandler {
    explicit DiskErrors(ShardHost& host) : host(host) {}
    void taskFailed(kj::Exception&& exception) override;
    ShardHost& host;
  } disk_errors_{*this};
  kj::TaskSet disk_tasks_{disk_errors_};  // Last: what it runs uses all the rest.
};

}  // namespace troupe
