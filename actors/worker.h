// Worker: what one worker loop of a node runs: its shards' copies, the links of its data lane, and
// the calls that arrive and leave on them.
//
// Everything is used on the worker's own loop. A shard belongs to the worker shard % count on every
// node, so the workers of two nodes talk in pairs. The control loop is reached through Control
// only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/actor_name.h"
#include "troupe/actors/actor_pool.h"
#include "troupe/actors/loop_watch.h"
#include "troupe/actors/observer_links.h"
#include "troupe/actors/refused_lanes.h"
#include "troupe/actors/router.h"
#include "troupe/actors/shard_host.h"
#include "troupe/rpc/link_pool.h"
#include "troupe/runtime/host.h"

namespace troupe {

// What one worker counts, for `troupe status`.
struct WorkerStatus {
  uint64_t activations = 0;
  uint64_t stored_actors = 0;
  uint64_t restoring = 0;  // Copies whose disk is still being read.
  uint64_t answered = 0;
  uint64_t suspended = 0;
  std::vector<std::string> suspended_actors;  // The first kSuspendedShown, with why.
};
inline constexpr size_t kSuspendedShown = 16;

// The rest of the node, as its workers see it. Thread-safe; `done` runs on the asking worker's
// loop.
class WorkerControl {
 public:
  virtual void Propose(Command command) = 0;
  // A register write-back begun after this call; null if it failed.
  virtual void Confirm(size_t worker, kj::Function<void(SharedMap)> done) = 0;
  // A newer map than this is known to exist.
  virtual void NeedNewerMap(uint64_t than) = 0;
  virtual void OnLinkLoss(std::string node, Boot boot, LinkLoss loss) = 0;
  virtual void OnTraffic(std::string node, Boot boot) = 0;
  // The node has to end.
  virtual void OnDiskFailure(std::string why) = 0;
  // Hands a call to the worker that owns its shard; its answer is given on the loop of `from`.
  // False when that worker's inbox is full: the answer says Moved, perhaps later.
  [[nodiscard]] virtual bool Forward(size_t from, size_t to, kj::Own<InboundCall> call) = 0;
  // The encoded StatusFrame of the whole node.
  virtual void Status(size_t worker, uint64_t number, kj::Function<void(Payload)> done) = 0;

 protected:
  ~WorkerControl() = default;
};

// Bounds of one worker. Whoever is beyond them is told which one it met; nodes are always let in.
struct WorkerLimits {
  size_t client_sessions = 16384;      // Links of client objects. Idle, each has one socket, and a
                                       // buffer of which little is touched.
  size_t gateway_connections = 16384;  // Of other Cap'n Proto clients.
  size_t hellos = 1024;                // Connections that have not said hello; more are closed.
  size_t session_calls = 1 << 16;      // Unanswered on one link: as many as one Router sends.
  size_t held_call_bytes = 256 << 20;  // Unanswered calls of all links, with their parameters.
  size_t session_unread_bytes = 128
                                << 20;  // Answers that a client has not read; more end its link.
  size_t unread_bytes = 512 << 20;  // The same of all clients; beyond it the one with most ends.
  size_t status_pulls = 16;         // Unanswered on one link; more end it.
  ObserverLimits observers = {};
};

struct WorkerOptions {
  RecordStore* records = nullptr;  // Outlives the worker. Null: no copies of durable shards here.
  size_t index = 0;
  size_t count = 1;
  ReplicaOptions replica;
  WorkerLimits limits = {};
};

class Worker final : public WorkerBody,
                     private LinkPool::Watcher,
                     private Link::Receiver,
                     private ShardHost::Worker,
                     private Router::Surroundings {
 public:
  // `registry` and `control` outlive it.
  Worker(Host& host, const Registry& registry, WorkerControl& control, WorkerOptions options,
         Introduction introduction);
  ~Worker() noexcept(false) override;

  // The first map makes the copies; `introduction` carries our boot and the cluster's id.
  void OnMap(SharedMap map, Introduction introduction);
  void OnConfirmed(SharedMap map);
  // A data connection that the control loop accepted and nothing was read from but the preamble.
  void OnDataStream(kj::Own<DetachedStream> stream, std::string peer_address);
  // A connection of another protocol: standard Cap'n Proto RPC.
  void OnOtherStream(kj::Own<DetachedStream> stream, std::string first_bytes);
  // A call of another worker of this node, for a shard of ours.
  void Deliver(kj::Own<InboundCall> call);
  // Moves primaries away to in-sync copies; all of them when draining.
  void MovePrimaries(const std::vector<WantedMove>& moves);

  WorkerStatus status() const;
  // Whether calls are taken; those refused are told to go elsewhere. Taken unless told otherwise.
  enum class Admission : uint8_t { kTakesCalls, kTakesNone };
  void SetAdmission(Admission admission) { admission_ = admission; }
  // For checks: every copy that this worker has.
  void ForEachReplica(const std::function<void(const ShardReplica&)>& look) const;
  Host& host() { return host_; }
  // Thread-safe.
  LoopWatch::Hold Holding(absl::Time now) const { return loop_watch_.Holding(now); }
  // For calls of the program itself, on this loop.
  kj::Own<CallOrigin> origin();

 private:
  class OwnOrigin;
  struct Session {
    kj::Own<Link> link;
    bool wants_map = false;
    size_t calls = 0;         // Unanswered.
    size_t status_pulls = 0;  // The same.
    size_t unread = 0;        // Bytes of answers, when it was last looked at.
    bool ending = false;      // Too much is unread.
  };
  struct Peer {
    CopyId copy = 0;
    std::vector<ReplicaMessage> queue;
    bool queue_has_batch = false;
    uint64_t next_number = 1;
    uint64_t in_flight = 0;  // Number of the frame with batches that is not acknowledged; 0: none.
  };

  // LinkPool::Watcher: links that we dialed.
  void OnLinkUp(const std::string& node, Link& link) override;
  void OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) override;
  void OnLinkDown(const std::string& node, const LinkLoss& loss) override;
  // Link::Receiver: links that others dialed.
  void OnFrame(Link& link, kj::Own<Frame> frame) override;
  void OnEnd(Link& link, LinkEnd end, std::string detail) override;
  // ShardHost::Worker
  void SendTo(CopyId copy, ReplicaMessage message) override;
  void Propose(Command command) override;
  void ConfirmRead(ShardId shard, uint64_t id) override;
  kj::Promise<void> ReadInTurn(kj::Function<kj::Promise<void>()> read) override;
  void OnDiskFailure(std::string why) override { control_.OnDiskFailure(std::move(why)); }
  void Touch(ShardId shard) override;
  Router& router() override { return router_; }
  TurnSlice& slice() override { return slice_; }
  LoopWatch& loop_watch() override { return loop_watch_; }
  uint64_t map_version() const override { return map_ ? map_->version : 0; }
  const ClusterState& map() const override { return *map_; }
  std::string NameOf(const ActorId& actor) const override {
    return troupe::NameOf(actor, map_.get());
  }
  std::string WhyNotHosted(const ActorId& actor) const override {
    return troupe::WhyNotHosted(actor, introduction_.node, *map_);
  }
  const std::string& node() const override { return introduction_.node; }
  // Router::Surroundings
  void DispatchHere(kj::Own<InboundCall> call) override;
  void NeedNewerMap(uint64_t than) override;

  std::optional<RefusalReason> JudgePeer(const Introduction& theirs) const;
  void SendBack(InboundCall& call, std::string why);
  void OnCallFrame(uint64_t id, Session& session, kj::Own<Frame> frame);
  size_t OwnerOf(const ActorId& actor) const;
  void CallObserver(kj::Own<InboundCall> call);
  void CallPool(kj::Own<InboundCall> call);
  void OnStatusPull(uint64_t id, Session& session, uint64_t number);
  void Open(kj::Own<Link> link);
  void Close(std::map<uint64_t, Session>::iterator session);
  void HandleMessages(Frame& frame, CopyId from, std::vector<ReplicaMessage>* replies);
  void OnReplicaFrame(Link& link, CopyId from, Frame& frame, bool answer);
  std::optional<std::string> NoRoomFor(const Session& session, size_t call_bytes) const;
  void Answer(uint64_t session, uint64_t number, CallOutcome&& outcome);
  void EndIfUnread(uint64_t id, Session& session);
  void EndMostUnread();
  void EndUnread(uint64_t id, Session& session);
  void SendMap(Session& session);
  ShardHost* HostOf(ShardId shard);
  void TakeShard(ShardId shard);
  void EraseFromDisk(ShardId shard);
  void EndTurn();
  void Flush(const std::string& node, Peer& peer);
  void SendFrame(Link& link, std::vector<ReplicaMessage>& messages, uint64_t number,
                 uint64_t acknowledges);
  void BeginConfirmation();
  kj::Promise<void> TickLoop();
  void Tick();
  void DropUnneeded(absl::Time now);
  void Drop(ShardId shard);
  std::vector<std::string> OpenTurns() const;
  void Retire(kj::Own<Link> link);

  Host& host_;
  const Registry& registry_;
  WorkerControl& control_;
  const WorkerOptions options_;
  Introduction introduction_;
  SharedMap map_;
  Payload encoded_map_;  // Of map_, once a client has asked.
  uint64_t encoded_version_ = 0;
  TurnSlice slice_;
  LoopWatch loop_watch_;

  LinkPool links_;
  Router router_;
  ClientSequence own_calls_;
  Router::Caller own_caller_;
  const bool hosts_durable_;  // Else nothing is erased from the disk: that would make a store.

  std::map<uint64_t, Session> sessions_;
  absl::flat_hash_map<const Link*, uint64_t> session_of_;
  uint64_t next_session_ = 1;
  size_t client_sessions_ = 0;
  size_t gateways_ = 0;
  size_t hellos_ = 0;
  size_t held_call_bytes_ = 0;
  size_t unread_bytes_ = 0;
  std::map<std::string, Peer> peers_;              // By node: those that share shards with us.
  std::vector<std::unique_ptr<ShardHost>> hosts_;  // By shard; null: no copy of it here.
  // Since when the map has no copy of the shard here, and no primary has spoken to one.
  std::map<ShardId, absl::Time> unneeded_;
  bool dropping_ = false;       // The register is asked whether those that are due may go.
  std::set<ShardId> erasing_;   // From the disk; until then there is no new copy.
  std::set<ShardId> off_disk_;  // Durable ones of which the disk has nothing.
  kj::ForkedPromise<void> reading_ = kj::Promise<void>(kj::READY_NOW).fork();

  ObserverLinks observer_links_;  // Of sessions_.
  ActorPool pool_;

  RefusedLanes refused_lanes_;  // Of calls that found no copy here, or no room at their worker.

  // Replies to the frame being handled go back on its link.
  CopyId replying_to_ = 0;
  std::vector<ReplicaMessage>* replies_ = nullptr;
  bool collecting_ = false;

  std::set<ShardId> touched_;
  std::set<ShardId> unsent_;
  bool turn_end_scheduled_ = false;
  std::map<ShardId, uint64_t> confirmations_;  // The newest of a shard confirms all before it.
  bool confirming_ = false;
  std::set<ShardId> dropped_while_confirming_;
  absl::Time last_tick_;
  absl::Duration stalled_ = absl::ZeroDuration();
  uint64_t answered_ = 0;
  Admission admission_ = Admission::kTakesCalls;
  uint64_t ticks_ = 0;

  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
