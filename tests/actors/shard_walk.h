// ShardWalk: real copies of one shard, driven by random steps through faults, and judged.
//
// The register is atomic and applies real commands; its maps reach each node late and with gaps.
// Messages are lost, doubled and reordered; nodes crash, come back empty, pause, are cut off,
// fenced wrongly; clocks differ by 1 %. An actor's state is the list of the calls applied to it, so
// every answer can be compared with every other: answers must be prefixes of one history, none
// older than what was answered before its call began, and no call in it twice.
//
// Of a durable shard the copies have disks, which write late; a crash leaves some of what was asked
// for, in order, and the node comes back with that, or now and then with an empty disk.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "troupe/actors/actor_store.h"
#include "troupe/actors/replica_mutations.h"
#include "troupe/actors/restored_copy.h"
#include "troupe/actors/shard_replica.h"

namespace troupe {

// One step: what to do, and three random numbers that say to whom and how.
enum class Act : uint8_t {
  kDeliver,
  kDrop,
  kApply,
  kShowMap,
  kTime,
  kCall,
  kTemp,
  kCollect,
  kTick,
  kAddLearner,
  kMove,
  kRejoin,
  kConfirm,
  kFence,
  kCrash,
  kRestart,
  kPause,
  kResume,
  kPartition,
  kHeal,
  kPump,
  kWork,
  kIsolate,
  kMend,
  kReadAtOld,
  kFinishTurn,
  kReconnect,
  kPassivate,
  kDisk,  // Of durable shards only.
  kEnd,   // Ends all faults: then the shard must serve again. Only as the last step.
};
inline constexpr int kActs = 29;

struct Step {
  Act act;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
};

class ShardWalk {
 public:
  ShardWalk(uint32_t setup, const ReplicaMutations& mutations, bool durable = false);
  ~ShardWalk();

  void Do(const Step& step);

  const std::string& violation() const { return violation_; }
  bool over() const;  // The shard is lost, or too much has happened.
  void set_verbose() { verbose_ = true; }

  uint64_t answers = 0;
  uint64_t reads = 0;
  uint64_t leased_reads = 0;
  uint64_t joins = 0;
  uint64_t moves = 0;
  uint64_t restores = 0;

 private:
  static constexpr int kCallsMax = 60;

  struct Call {
    bool write = false;
    int actor = 0;
    int client = 0;
    uint64_t sequence = 0;
    size_t known = 0;  // Length of the answered history when the call was made.
    bool answered = false;
  };
  struct Request {
    int node = 0;
    int call = 0;
    uint64_t first_incomplete = 0;
  };
  struct Sent {
    CopyId from = 0;
    ReplicaMessage message;
    std::optional<Request> request;
  };
  struct Held {
    int call;
    std::string result;
  };
  class Actors;
  // What a node's disk has, and will have.
  struct Disk {
    uint64_t id = 1;
    uint64_t lineage = 0;
    Version position;
    Version mark;
    std::map<ActorId, std::map<uint32_t, SharedUpdate>> actors;
    std::deque<DiskWrite> waiting;

    void Do(const DiskWrite& write);
    RestoredCopy Read(absl::Time now) const;
  };
  struct Node {
    bool up = true;
    bool paused = false;
    bool serving = false;  // As its replica said.
    Boot boot = 0;
    uint64_t nonce = 1;
    int drift = 0;
    uint32_t reach = ~0u;
    bool cut_from_register = false;
    uint64_t map_version = 0;
    absl::Duration stalled;
    absl::Time paused_at;
    std::unique_ptr<Actors> actors;
    std::unique_ptr<ShardReplica> replica;
    std::map<HoldToken, Held> held;
    std::optional<uint64_t> confirm;
  };
  struct Confirmation {
    int node;
    Boot boot;
    uint64_t id;
    std::shared_ptr<const ClusterState> seen;
  };

  // ---- The world
  absl::Time Clock(int node) const;
  bool Runs(int node) const { return nodes_[node].up && !nodes_[node].paused; }
  int NodeOf(CopyId copy) const;  // That runs it now; -1: none.
  int OwnerOf(CopyId copy) const { return owner_.at(copy); }
  bool Change(const Command& command);
  void Show(int node, uint64_t version);
  void Boots(int node, Boot boot);
  void Crash(int node, uint32_t r);
  void WriteToDisk(int node, size_t most);
  void TickNode(int node);
  void CollectAll(int node);
  void Confirm(int node, bool at_once);
  void Take(int node, ReplicaEffects& out);
  void Post(Sent sent);
  void Deliver(const Sent& sent);
  bool Deliverable(const Sent& sent, bool* dead) const;
  void Isolate(int node);
  const ShardEntry& shard() const { return register_->shards[0]; }
  CopyId Pick(const std::vector<CopyId>& set, uint32_t r) const { return set[r % set.size()]; }
  int ActingPrimary(bool old) const;
  void FenceNode(int node, uint32_t r, bool at_once);

  void Heal();

  // ---- Calls
  int NewCall(bool write, int actor, int client);
  void CallSomewhere(const Step& step);
  void Serve(int node, const Request& request, bool waits);
  void FinishTurn(int node, int actor);
  void TouchTemp(int node);
  void Hold(int node, int call, HoldKind kind, ReadTicket ticket, std::string result);
  void Answer(int node, const Held& held);

  // ---- Judgement
  void Fail(const std::string& what);
  void CheckStore(int node);
  void CheckSynced(int node, const ReplicaMessage& ack);
  void Say(const std::string& what) const;

  ReplicaMutations mutations_;
  ReplicaOptions options_;
  const bool durable_;
  std::map<int, Disk> disks_;  // By node; of a durable shard.
  int count_ = 3;
  int64_t time_us_ = 10'000'000;
  std::shared_ptr<const ClusterState> register_;
  std::vector<std::shared_ptr<const ClusterState>> history_;
  std::vector<Node> nodes_;
  std::map<CopyId, int> owner_;
  std::vector<Sent> network_;
  std::vector<Command> commands_;
  std::vector<Confirmation> confirmations_;
  std::vector<Call> calls_;
  uint64_t sequences_[2] = {0, 0};
  std::string answered_[2];  // The longest history answered, per actor.
  std::map<Epoch, CopyId> answered_by_;
  std::map<std::pair<ActorId, Version>, std::string> contents_;
  HoldToken last_token_ = 0;
  int temps_ = 0;
  std::string violation_;
  bool verbose_ = false;
};

}  // namespace troupe
