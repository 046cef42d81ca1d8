// MembershipWorld: nodes that are only members, on simulated machines.
//
// Each has a listener that greets as an actors' node does, and remembers what its Membership told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../seeds.h"
#include "gtest/gtest.h"
#include "troupe/membership/membership.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {

inline constexpr int kPort = 7000;

class TestNode final : private Membership::Watcher, private kj::TaskSet::ErrorHandler {
 public:
  TestNode(Machine& machine, MembershipOptions options)
      : machine_(machine),
        listen_(options.listen),
        membership_(std::make_unique<Membership>(machine, std::move(options),
                                                 static_cast<Membership::Watcher&>(*this))),
        tasks_(*this) {}

  absl::Status Start() {
    auto listener = machine_.control().network().Listen(listen_);
    if (!listener.ok()) return listener.status();
    listener_ = kj::mv(*listener);
    auto started = membership_->Start(listener_->address());
    if (started.ok()) tasks_.add(AcceptLoop());
    return started;
  }

  Membership& operator*() { return *membership_; }
  Membership* operator->() { return membership_.get(); }
  Boot boot() const { return boot_; }
  int registrations() const { return registrations_; }
  SharedMap map() const { return membership_->map(); }
  std::function<void(const SharedMap&)> on_map;
  std::vector<Membership::Watcher::Outcast> outcasts;  // As told; nothing is done about it.
  std::vector<std::string> unfit;                      // The same.
  // Versions told, in order.
  const std::vector<uint64_t>& told() const { return told_; }
  bool map_before_boot() const { return map_before_boot_; }

 private:
  void OnMap(const SharedMap& map) override {
    EXPECT_TRUE(told_.empty() || told_.back() < map->version);
    told_.push_back(map->version);
    if (on_map) on_map(map);
    const NodeEntry* entry = map->FindNode(membership_->Introduce().node);
    if (entry != nullptr && entry->nonce == membership_->Introduce().nonce && boot_ == 0) {
      map_before_boot_ = true;
    }
  }
  void OnRegistered(Boot boot) override {
    boot_ = boot;
    ++registrations_;
  }
  void OnOutcast(const Outcast& outcast) override { outcasts.push_back(outcast); }
  void OnUnfit(const std::string& why) override { unfit.push_back(why); }
  void taskFailed(kj::Exception&& e) override { ADD_FAILURE() << Words(e); }

  kj::Promise<void> AcceptLoop() {
    return listener_->Accept().then([this](Accepted&& accepted) {
      tasks_.add(Greet(kj::mv(accepted)));
      return AcceptLoop();
    });
  }
  kj::Promise<void> Greet(Accepted accepted) {
    auto& host = machine_.control();
    auto& stream = *accepted.stream;
    return ReadGreeting(host, stream)
        .then([this, &host, stream = kj::mv(accepted.stream)](Greeting&&) mutable {
          return AcceptLink(
              host, kj::mv(stream), membership_->Introduce(),
              [this](const Introduction& theirs) { return membership_->JudgePeer(theirs); });
        })
        .then([this](kj::Own<Link> link) { membership_->OnControlLink(kj::mv(link)); })
        .catch_([](kj::Exception&&) {});
  }

  Machine& machine_;
  const std::string listen_;
  kj::Own<Listener> listener_;
  std::unique_ptr<Membership> membership_;
  Boot boot_ = 0;
  int registrations_ = 0;
  bool map_before_boot_ = false;
  std::vector<uint64_t> told_;
  kj::TaskSet tasks_;
};

enum class Disks { kNone, kKept };

class MembershipWorld {
 public:
  explicit MembershipWorld(uint64_t seed, SimOptions options = {}, Disks disks = Disks::kNone)
      : disks_(disks), world_(seed, options) {}
  ~MembershipWorld() noexcept {
    for (auto& [name, node] : nodes_) node = nullptr;
  }

  GossipKeys gossip_keys;  // Of the nodes whose options are made next.
  SimWorld& world() { return world_; }
  Disks disks() const { return disks_; }
  std::string At(const std::string& name) {
    AddMachines({name});
    return world_.Ip(name) + ":" + std::to_string(kPort);
  }
  void AddMachines(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      if (machines_.insert(name).second) world_.AddMachine(name);
    }
  }

  MembershipOptions OptionsOf(const std::string& name, const std::vector<std::string>& seeds,
                              uint32_t expect = 1) {
    MembershipOptions options;
    options.node = name;
    options.listen = At(name);
    for (const auto& seed : seeds) options.seeds.push_back(At(seed));
    options.expect = expect;
    options.config.shards = 8;
    options.types = {{77, "Thing"}};
    options.gossip_keys = gossip_keys;
    return options;
  }

  // Starts a process on that machine; the node's name is the machine's unless told otherwise.
  TestNode& Start(const std::string& machine, MembershipOptions options) {
    auto status = TryStart(machine, std::move(options));
    EXPECT_TRUE(status.ok()) << status;
    return *nodes_.at(machine);
  }
  absl::Status TryStart(const std::string& machine, MembershipOptions options) {
    AddMachines({machine});
    last_options_[machine] = options;
    Machine& at = disks_ == Disks::kKept ? world_.machine(machine) : Diskless(machine);
    nodes_[machine] = std::make_unique<TestNode>(at, std::move(options));
    nodes_[machine]->on_map = [this](const SharedMap& map) {
      auto [known, fresh] = history_.try_emplace(map->version, map);
      EXPECT_TRUE(*known->second == *map) << "two values of version " << map->version;
    };
    world_.OnDestroy(machine, [this, machine] { nodes_[machine] = nullptr; });
    return nodes_[machine]->Start();
  }
  void Kill(const std::string& machine, SimDiskAfter disk = SimDiskAfter::kKeep) {
    world_.Kill(machine, disk);
  }
  TestNode& Restart(const std::string& machine) {
    world_.Restart(machine);
    diskless_.erase(machine);
    return Start(machine, last_options_.at(machine));
  }
  TestNode& operator[](const std::string& machine) { return *nodes_.at(machine); }
  bool Has(const std::string& machine) {
    return nodes_.contains(machine) && nodes_.at(machine) != nullptr;
  }

  bool Until(kj::Function<bool()> done, absl::Duration limit) {
    return world_.RunUntil(kj::mv(done), limit);
  }
  // All of `names` are UP in the maps of all of `names`, with voters as many as there should be.
  bool Formed(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      if (!Has(name) || nodes_.at(name)->boot() == 0 || !nodes_.at(name)->map()) return false;
      const auto map = nodes_.at(name)->map();
      for (const auto& other : names) {
        if (!Has(other) || !map->IsUp(nodes_.at(other)->boot())) return false;
      }
    }
    return true;
  }
  size_t Voters(const std::string& name) {
    const auto map = nodes_.at(name)->map();
    return map->pending.empty() ? map->voters.size() : 0;
  }
  NodeState StateIn(const std::string& of, const std::string& name) {
    const NodeEntry* entry = nodes_.at(of)->map()->FindNode(name);
    return entry == nullptr ? NodeState::kLeft : entry->state;
  }
  bool Logged(std::string_view words) { return world_.log().Contains(words); }
  std::string Log() {
    std::string out;
    for (const auto& line : world_.log().lines()) out += line + "\n";
    return out;
  }

 private:
  // A machine without a data directory, in front of the real one.
  class NoDisk final : public Machine {
   public:
    explicit NoDisk(Machine& inner) : inner_(inner) {}
    Host& control() override { return inner_.control(); }
    kj::Promise<void> StartWorkers(size_t count,
                                   kj::Function<kj::Own<WorkerBody>(size_t, Host&)> make) override {
      return inner_.StartWorkers(count, kj::mv(make));
    }
    void StopWorkers() override { inner_.StopWorkers(); }
    size_t worker_count() const override { return inner_.worker_count(); }
    Host& worker(size_t index) override { return inner_.worker(index); }
    DataDirectory* data_directory() override { return nullptr; }
    RecordStore* record_store() override { return nullptr; }
    ProcessIdentity process() const override { return inner_.process(); }
    std::optional<kj::Promise<void>> WatchExit(const ProcessIdentity& process) override {
      return inner_.WatchExit(process);
    }
    kj::Promise<void> Offload(kj::Function<void()> work) override {
      return inner_.Offload(kj::mv(work));
    }

   private:
    Machine& inner_;
  };
  Machine& Diskless(const std::string& name) {
    auto& at = diskless_[name];
    former_.push_back(std::move(at));
    at = std::make_unique<NoDisk>(world_.machine(name));
    return *at;
  }

  const Disks disks_;
  SimWorld world_;
  std::set<std::string> machines_;
  std::vector<std::unique_ptr<NoDisk>> former_;
  std::map<std::string, std::unique_ptr<NoDisk>> diskless_;
  std::map<std::string, MembershipOptions> last_options_;
  std::map<uint64_t, SharedMap> history_;  // Every map that anybody was told, by version.
  std::map<std::string, std::unique_ptr<TestNode>> nodes_;
};

}  // namespace troupe
