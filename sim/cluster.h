// Cluster: whole nodes, their network, disks and clients in one thread, on virtual time, by seed.
//
//   Registry registry;
//   registry.Host<AccountActor>();
//   sim::Cluster cluster({.seed = 1, .nodes = {"a", "b", "c"}}, registry);
//   Client& client = cluster.AddClient("teller");
//   ASSERT_TRUE(cluster.Settle()) << cluster.Describe();
//   uint64_t balance = cluster.Await(client.Get<Account>("alice").Deposit(5));
//   cluster.Kill("b");
//   cluster.Run(absl::Seconds(5));
//
// The nodes are those of production; only their Host is simulated. Time passes in Run(),
// RunUntil(), Settle() and Await(), and only there. Equal seeds and equal calls give equal runs.
// What is not here, such as clocks that drift and disks that fail, world() has.
//
// Threads: one; it makes the thread's KJ event loop, so one Cluster at a time. Promises of clients
// go before it does. Faults are called between the runs of time or in world().After(), never in
// code of a node or in the continuation of a promise. Misuse throws kj::Exception. See
// docs/simulation.md.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor_id.h"
#include "troupe/actors/client.h"
#include "troupe/actors/node.h"
#include "troupe/runtime/sim_world.h"
#include "troupe/runtime/task.h"

namespace troupe::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  std::vector<std::string> nodes = {"a", "b", "c"};  // Founded together.
  size_t workers = 1;
  // Counts when the nodes found. Fewer shards than in production: each costs time in each seed.
  ClusterConfig config = {.shards = 16};
  std::map<std::string, std::string> zones = {};  // By node; none: no zone.
  std::set<std::string> diskless = {};            // Nodes that have no data directory.
  // Programs: what a node hosts, where it is not what all do. They outlive the cluster.
  std::map<std::string, const Registry*> registries = {};
  std::map<std::string, std::vector<std::string>> roles = {};  // By node; none: all of its program.
  // Everything else of each node; its name, address and seeds are filled in.
  NodeOptions node = {};
  SimOptions world = {};
};

class Cluster {
 public:
  // `registry` outlives it.
  Cluster(ClusterOptions options, const Registry& registry);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  SimWorld& world() { return world_; }
  const ClusterOptions& options() const { return options_; }
  // All that were ever added and have not left, alive or not.
  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return nodes_.contains(name); }  // Its process lives.
  Node& node(const std::string& name) { return *nodes_.at(name); }
  bool paused(const std::string& name) const { return paused_.contains(name); }
  std::string AddressOf(const std::string& name) { return world_.Ip(name) + ":7100"; }

  // ---- Time
  void Run(absl::Duration duration) { world_.RunFor(duration); }
  // Until `done`, asked after every event; false when `limit` has passed without.
  bool RunUntil(std::function<bool()> done, absl::Duration limit = absl::Seconds(30));
  // Until settled(). The message for when it is not is Describe().
  bool Settle(absl::Duration limit = absl::Seconds(30));
  // All running nodes are ready and every shard is as redundant as it can be. LOST shards do not
  // count: nothing that goes on by itself brings them back.
  bool settled();
  // Waits for a promise while time passes; throws when that takes longer than `limit`. TryAwait:
  // nothing then.
  template <typename T>
  T Await(kj::Promise<T> promise, absl::Duration limit = absl::Seconds(60)) {
    auto value = TryAwait(kj::mv(promise), limit);
    KJ_REQUIRE(value.has_value(), "no answer within the limit");
    return std::move(*value);
  }
  template <typename T>
  std::optional<T> TryAwait(kj::Promise<T> promise, absl::Duration limit);
  void Await(kj::Promise<void> promise, absl::Duration limit = absl::Seconds(60)) {
    Await(promise.then([] { return true; }), limit);
  }
  template <typename T>
  T Await(Task<T> task, absl::Duration limit = absl::Seconds(60)) {
    return Await(kj::mv(task).AsPromise(), limit);
  }
  // Runs `step` after each event of the world, at most once per `every`: for checks that must hold
  // at any moment. One at a time; it must not make time pass.
  void OnStep(kj::Function<void()> step, absl::Duration every = absl::ZeroDuration());

  // ---- What is seen
  SharedMap NewestMap();                        // Of all running nodes; null before the first.
  std::string Coordinator();                    // As the first node says that knows one, or empty.
  std::string PrimaryOf(const ActorId& actor);  // As the newest map says, or empty.
  std::string Describe();                       // The map and who has it, over several lines.

  // ---- Faults
  // The process ends without a word; its kernel closes what it had open.
  void Kill(const std::string& name, SimDiskAfter disk = SimDiskAfter::kErase);
  // The computer ends without a word.
  void PowerOff(const std::string& name, SimDiskAfter disk = SimDiskAfter::kErase);
  // A killed one or one that has left, on the same computer. TryRestart: the error of
  // Node::Start(), such as DataLoss; then no process lives there.
  void Restart(const std::string& name);
  absl::Status TryRestart(const std::string& name);
  // From its next start on the node runs another program, as in a rolling upgrade. Also of a node
  // that is yet to be added. `registry` outlives the cluster.
  void SetProgram(const std::string& name, const Registry& registry) {
    registries_[name] = &registry;
  }
  // Why its process ended by itself, last; empty: it never did.
  std::string WhyEnded(const std::string& name) const;
  void Pause(const std::string& name, SimPause what = SimPause::kProcess);
  void Resume(const std::string& name);
  void Cut(const std::string& a, const std::string& b) { world_.Cut(a, b); }
  void Isolate(const std::string& name) { world_.Isolate(name); }
  // Messages pass only within a group; machines in none reach everyone.
  void Partition(const std::vector<std::vector<std::string>>& groups);
  void Heal() { world_.HealAll(); }  // The network.

  // ---- Changes that an operator makes
  void Add(const std::string& name);  // A new node joins.
  // Begins an orderly end, by Node::Drain; once it has left the process ends and is no longer in
  // names(). As long as it may not leave it goes on serving, beyond `limit` too; Kill() ends it.
  void Leave(const std::string& name, absl::Duration limit = absl::Seconds(20));
  bool leaving(const std::string& name) const { return leaving_.contains(name); }

  // ---- Clients, each on a machine of its own
  Client& AddClient(const std::string& name);
  Client& client(const std::string& name) { return *clients_.at(name); }
  std::vector<std::string> client_names() const;
  // The process of a client dies, with whatever it had under way.
  void RemoveClient(const std::string& name);

 private:
  void AddMachine(const std::string& name);
  absl::Status StartNode(const std::string& name);
  void EndSoon(const std::string& name, void (Cluster::*how)(const std::string&));
  void EndOfItself(const std::string& name) { Kill(name, SimDiskAfter::kKeep); }
  void NodeGone(const std::string& name);
  void EndAfterLeaving(const std::string& name);

  SimWorld world_;
  const Registry& registry_;
  const ClusterOptions options_;
  std::vector<std::string> names_;
  std::vector<std::string> seeds_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::string, const Registry*> registries_;  // Where not `registry_`.
  std::map<std::string, std::string> why_ended_;
  std::map<std::string, uint64_t> runs_;  // How often each was started.
  std::map<std::string, kj::Promise<void>> leaving_;
  std::map<std::string, kj::Promise<void>> failing_;  // Each node's Failed(), as main() heeds it.
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::set<std::string> paused_;
};

template <typename T>
std::optional<T> Cluster::TryAwait(kj::Promise<T> promise, absl::Duration limit) {
  bool done = false;
  auto watched = promise
                     .then(
                         [&done](T&& value) {
                           done = true;
                           return kj::mv(value);
                         },
                         [&done](kj::Exception&& e) -> T {
                           done = true;
                           kj::throwFatalException(kj::mv(e));
                         })
                     .eagerlyEvaluate(nullptr);
  if (!RunUntil([&done] { return done; }, limit)) return std::nullopt;
  return watched.wait(world_.scope());
}

}  // namespace troupe::sim
