// Node: one process of the cluster: membership on the control loop, actors on the workers.
//
//   Registry registry;
//   registry.Host<CounterActor>();
//   Node node(machine, registry, options);
//   auto started = node.Start();           // The port is bound, or why not.
//   node.Ready().wait(machine.wait_scope());
//
// Programs mostly use troupe::Main (main.h), which reads the settings and does this.
//
// Threads: the control loop. Destroy it there; that stops the workers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kj/async.h"
#include "troupe/actors/registry.h"
#include "troupe/actors/worker.h"
#include "troupe/membership/membership.h"
#include "troupe/runtime/host.h"

namespace troupe {

struct NodeOptions {
  MembershipOptions membership;
  size_t workers = 1;  // At most 256.
  ReplicaOptions replica;
};

class Node final : private Membership::Watcher, private WorkerControl {
 public:
  // `machine` outlives it. Of `registry` it hosts the types of its roles
  // (MembershipOptions::roles); without roles it has all.
  Node(Machine& machine, const Registry& registry, NodeOptions options);
  ~Node() noexcept(false);
  KJ_DISALLOW_COPY(Node);

  // Binds the port and begins to join or found. Errors: AlreadyExists (port in use),
  // InvalidArgument, DataLoss; each names the setting or the file.
  absl::Status Start();

  // Resolves once this node is registered, UP, its workers run and have the map, and the register's
  // voters are whole: then the next node may be restarted (P2.6). Rejects when it never will be,
  // for example because another process has taken over its name.
  kj::Promise<void> Ready();
  // Rejects when the node has to end: another process took over its name, it hosts other types than
  // the nodes that it would join, or its disk fails and it has copies of durable shards.
  kj::Promise<void> Failed();

  // An orderly end: hands its shards to other copies, then leaves; resolves when it has left. After
  // `limit` it leaves although turns go on, but while a shard would be lost with it, or no quorum
  // answers, it goes on as a member that serves, and log and status say why (P2.13). Once at most.
  kj::Promise<void> Drain(absl::Duration limit);

  const std::string& address() const { return address_; }  // As bound; after Start().
  Membership& membership() { return *membership_; }
  // Ready() has resolved, and this node is still UP. The loss of a voter later changes nothing
  // here.
  bool ready() const;
  // For checks, and only where all loops are one thread (sim::Cluster): every copy of this node.
  void ForEachReplica(const std::function<void(const ShardReplica&)>& look) const;
  // The number of shards this node is primary of in the newest map.
  size_t primaries() const;

 private:
  struct Anchor {
    Node* node;
  };

  // Membership::Watcher
  void OnMap(const SharedMap& map) override;
  void OnRegistered(Boot boot) override;
  void OnOutcast(const Outcast& outcast) override;
  void OnUnfit(const std::string& why) override;
  // WorkerControl; on worker loops.
  void Propose(Command command) override;
  void Confirm(size_t worker, kj::Function<void(SharedMap)> done) override;
  void NeedNewerMap(uint64_t than) override;
  void OnLinkLoss(std::string node, Boot boot, LinkLoss loss) override;
  void OnTraffic(std::string node, Boot boot) override;
  void OnDiskFailure(std::string why) override;
  bool Forward(size_t from, size_t to, kj::Own<InboundCall> call) override;
  void Status(size_t worker, uint64_t number, kj::Function<void(Payload)> done) override;

  absl::Status CheckDisk();
  kj::Promise<void> AcceptLoop();
  kj::Promise<void> Greet(Accepted accepted);
  void ToControl(kj::Function<void(Node&)> work);
  kj::Promise<void> WatchWorkers(absl::Time last);
  void ToWorker(size_t index, kj::Function<void(Worker&)> work);
  void PublishMap();
  void MoveWhatShouldMove();
  // What a node that drains has still to hand over: shards of which it leads and another could, and
  // those of which it has the last copy. Nothing when nobody is there to take it.
  struct Held {
    size_t movable = 0;
    size_t last = 0;
  };
  Held HeldStill() const;
  kj::Promise<void> WaitUntilMoved(absl::Time deadline);
  // Of all workers, after each has been told whom to admit.
  kj::Promise<WorkerStatus> SumOfWorkers(std::optional<Worker::Admission> admission);
  kj::Promise<Payload> CollectStatus(uint64_t number);
  kj::Promise<void> JoinAnew(const Outcast& outcast);
  kj::Promise<void> LeaveRecords(Outcast::Kind kind);

  Machine& machine_;
  const std::set<std::string> roles_known_;  // Of all types of the program.
  const Registry registry_;                  // What this node hosts.
  const NodeOptions options_;
  std::string address_;
  kj::Own<Listener> listener_;
  std::unique_ptr<Membership> membership_;
  std::shared_ptr<Anchor> anchor_;
  std::vector<Worker*> workers_;  // Set on their loops before they are announced here.
  bool workers_running_ = false;
  std::vector<absl::Duration> told_held_;  // By worker: how long it had stood still when told.
  bool saw_whole_voters_ = false;          // Since it is a member.
  Boot boot_ = 0;
  bool draining_ = false;
  std::set<std::string> proposing_;  // By description: commands of our shards under way.
  size_t greeting_ = 0;              // Connections that have not said what they are.
  kj::Own<kj::PromiseFulfiller<void>> ready_fulfiller_;
  kj::ForkedPromise<void> ready_;
  kj::Own<kj::PromiseFulfiller<void>> failed_fulfiller_;
  kj::ForkedPromise<void> failed_;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(const Log& log) : log(log) {}
    void taskFailed(kj::Exception&& exception) override;
    const Log& log;
  } errors_;
  kj::Own<kj::TaskSet> tasks_;
  bool joining_anew_ = false;
  kj::Promise<void> rejoin_ = nullptr;
};

}  // namespace troupe
