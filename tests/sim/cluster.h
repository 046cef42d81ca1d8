// Cluster: whole nodes on simulated machines, by seed, with a vocabulary for faults.
//
//   Cluster cluster(seed, {"a", "b", "c"}, registry);
//   cluster.Settle();
//   cluster.Kill("b");
//   cluster.Run(absl::Seconds(5));
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kj/async.h"
#include "troupe/actors/client.h"
#include "troupe/actors/node.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {

class Cluster {
 public:
  struct Options {
    SimOptions world;
    size_t workers = 1;
    ClusterConfig config = {.shards = 16};
    uint32_t expect = 0;  // 0: all the nodes named at the start.
  };

  Cluster(uint64_t seed, std::vector<std::string> names, const Registry& registry)
      : Cluster(seed, std::move(names), registry, Options()) {}
  Cluster(uint64_t seed, std::vector<std::string> names, const Registry& registry, Options options)
      : world_(seed, options.world),
        registry_(registry),
        options_(std::move(options)),
        names_(std::move(names)) {
    if (options_.expect == 0) options_.expect = static_cast<uint32_t>(names_.size());
    for (const auto& name : names_) {
      world_.AddMachine(name);
      seeds_.push_back(AddressOf(name));
    }
    for (const auto& name : names_) StartNode(name);
  }
  ~Cluster() {
    clients_.clear();
    nodes_.clear();
  }

  SimWorld& world() { return world_; }
  Node& node(const std::string& name) { return *nodes_.at(name); }
  bool has(const std::string& name) const { return nodes_.contains(name); }
  std::string AddressOf(const std::string& name) { return absl::StrCat(world_.Ip(name), ":7100"); }
  const std::vector<std::string>& names() const { return names_; }

  // ---- Time
  void Run(absl::Duration duration) { world_.RunFor(duration); }
  bool RunUntil(std::function<bool()> done, absl::Duration limit = absl::Seconds(30)) {
    return world_.RunUntil([&done] { return done(); }, limit);
  }
  // Until all running nodes are ready and every shard is as redundant as it can be.
  bool Settle(absl::Duration limit = absl::Seconds(30)) {
    return RunUntil([this] { return settled(); }, limit);
  }
  bool settled() {
    SharedMap newest = NewestMap();
    if (!newest) return false;
    size_t up = 0;
    for (auto& [name, node] : nodes_) {
      if (paused_.contains(name)) continue;
      auto map = node->membership().map();
      if (!node->ready() || !map || map->version != newest->version) return false;
    }
    for (const auto& node : newest->nodes) up += node.state == NodeState::kUp;
    if (up != nodes_.size() - paused_.size()) return false;
    const size_t wanted = std::min<size_t>(newest->config.replicas, up);
    for (const auto& shard : newest->shards) {
      size_t live = 0;
      for (CopyId copy : shard.isr) live += newest->IsUp(copy);
      if (shard.state != ShardState::kActive || live < wanted) return false;
    }
    return true;
  }
  SharedMap NewestMap() {
    SharedMap newest;
    for (auto& [name, node] : nodes_) {
      auto map = node->membership().map();
      if (map && (!newest || map->version > newest->version)) newest = map;
    }
    return newest;
  }
  std::string Coordinator() {
    for (auto& [name, node] : nodes_) {
      auto coordinator = node->membership().coordinator();
      if (!paused_.contains(name) && !coordinator.empty()) return coordinator;
    }
    return "";
  }
  // For the message of a test that fails.
  std::string Describe() {
    auto map = NewestMap();
    if (!map) return "no map";
    std::string out = absl::StrCat("map ", map->version, ", pending voters ", map->pending.size());
    for (const auto& node : map->nodes) {
      absl::StrAppend(&out, "; ", node.name, " boot ", node.boot, " state ",
                      static_cast<int>(node.state));
    }
    for (const auto& [name, node] : nodes_) {
      auto seen = node->membership().map();
      absl::StrAppend(&out, "; ", name, " ready ", node->ready(), " map ",
                      seen ? seen->version : 0);
    }
    for (size_t i = 0; i < map->shards.size(); ++i) {
      const auto& shard = map->shards[i];
      absl::StrAppend(&out, "\n  shard ", i, " epoch ", shard.epoch, " primary ", shard.primary,
                      " isr {", absl::StrJoin(shard.isr, ","), "} elr {",
                      absl::StrJoin(shard.elr, ","), "} learners {",
                      absl::StrJoin(shard.learners, ","), "}");
    }
    return out;
  }
  // The node that is primary of the actor's shard, as the newest map says.
  std::string PrimaryOf(const ActorId& actor) {
    auto map = NewestMap();
    const auto& shard = map->shards[ShardOf(actor, map->config.shards)];
    const auto* node = map->FindBoot(shard.primary);
    return node == nullptr ? "" : node->name;
  }

  // ---- Faults
  void Kill(const std::string& name, SimDiskAfter disk = SimDiskAfter::kErase) {
    paused_.erase(name);
    world_.Kill(name, disk);
  }
  void PowerOff(const std::string& name, SimDiskAfter disk = SimDiskAfter::kErase) {
    paused_.erase(name);
    world_.PowerOff(name, disk);
  }
  void Restart(const std::string& name) {
    world_.Restart(name);
    StartNode(name);
  }
  void Add(const std::string& name) {
    world_.AddMachine(name);
    names_.push_back(name);
    StartNode(name);
  }
  void Pause(const std::string& name) {
    paused_.insert(name);
    world_.Pause(name);
  }
  void Resume(const std::string& name) {
    paused_.erase(name);
    world_.Resume(name);
  }
  void Isolate(const std::string& name) { world_.Isolate(name); }
  void Heal() { world_.HealAll(); }

  // ---- Clients, each on a machine of its own.
  Client& AddClient(const std::string& name) {
    auto& machine = world_.AddMachine(name);
    ClientOptions options;
    options.nodes = seeds_;
    options.name = name;
    return *(clients_[name] = std::make_unique<Client>(machine.control(), options));
  }
  // The process of a client dies, with whatever it had under way.
  void RemoveClient(const std::string& name) {
    world_.OnDestroy(name, [this, name] { clients_.erase(name); });
    world_.Kill(name, SimDiskAfter::kErase);
  }
  // Waits for a promise while the world runs; fails the run when it takes longer than `limit`.
  template <typename T>
  T Await(kj::Promise<T> promise, absl::Duration limit = absl::Seconds(60)) {
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
    KJ_REQUIRE(RunUntil([&done] { return done; }, limit), "no answer within the limit");
    return watched.wait(world_.scope());
  }

 private:
  void StartNode(const std::string& name) {
    NodeOptions options;
    options.workers = options_.workers;
    options.membership.node = name;
    options.membership.listen = AddressOf(name);
    options.membership.seeds = seeds_;
    options.membership.expect = options_.expect;
    options.membership.config = options_.config;
    auto node = std::make_unique<Node>(world_.machine(name), registry_, options);
    world_.OnDestroy(name, [this, name] { nodes_.erase(name); });
    auto started = node->Start();
    KJ_REQUIRE(started.ok(), std::string(started.message()).c_str());
    nodes_[name] = std::move(node);
  }

  SimWorld world_;
  const Registry& registry_;
  Options options_;
  std::vector<std::string> names_;
  std::vector<std::string> seeds_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::set<std::string> paused_;
};

}  // namespace troupe
