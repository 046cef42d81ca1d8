#include "troupe/sim/cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kj/debug.h"
#include "troupe/actors/shard_of.h"
#include "troupe/membership/placement.h"
#include "troupe/rpc/status.h"

namespace troupe::sim {
namespace {

void Require(const absl::Status& started) {
  KJ_REQUIRE(started.ok(), std::string(started.message()).c_str());
}

}  // namespace

Cluster::Cluster(ClusterOptions options, const Registry& registry)
    : world_(options.seed, options.world),
      registry_(registry),
      options_(std::move(options)),
      names_(options_.nodes),
      registries_(options_.registries) {
  for (const auto& name : names_) {
    AddMachine(name);
    seeds_.push_back(AddressOf(name));
  }
  for (const auto& name : names_) Require(StartNode(name));
}

Cluster::~Cluster() {
  world_.OnStep(nullptr);
  clients_.clear();
  leaving_.clear();
  failing_.clear();
  nodes_.clear();
}

void Cluster::AddMachine(const std::string& name) {
  world_.AddMachine(name, options_.diskless.contains(name) ? SimStorage::kNone : SimStorage::kDisk);
}

absl::Status Cluster::StartNode(const std::string& name) {
  NodeOptions options = options_.node;
  options.workers = options_.workers;
  options.membership.node = name;
  options.membership.listen = AddressOf(name);
  options.membership.seeds = seeds_;
  options.membership.expect = static_cast<uint32_t>(options_.nodes.size());
  options.membership.config = options_.config;
  if (auto zone = options_.zones.find(name); zone != options_.zones.end()) {
    options.membership.zone = zone->second;
  }
  const auto program = registries_.find(name);
  const Registry& registry = program == registries_.end() ? registry_ : *program->second;
  if (auto roles = options_.roles.find(name); roles != options_.roles.end()) {
    options.membership.roles = roles->second;
  }
  auto node = std::make_unique<Node>(world_.machine(name), registry, options);
  world_.OnDestroy(name, [this, name] { NodeGone(name); });
  if (auto started = node->Start(); !started.ok()) {
    node = nullptr;
    world_.Kill(name, SimDiskAfter::kKeep);
    return started;
  }
  ++runs_[name];
  auto failed = node->Failed().catch_([this, name](kj::Exception&& e) {
    why_ended_[name] = Words(e);
    EndSoon(name, &Cluster::EndOfItself);
  });
  failing_.emplace(name, failed.eagerlyEvaluate(nullptr));
  nodes_[name] = std::move(node);
  return absl::OkStatus();
}

// A fault must not come out of the node's own promise.
void Cluster::EndSoon(const std::string& name, void (Cluster::*how)(const std::string&)) {
  world_.After(absl::ZeroDuration(), [this, name, how, run = runs_[name]] {
    if (has(name) && runs_[name] == run) (this->*how)(name);
  });
}

void Cluster::NodeGone(const std::string& name) {
  leaving_.erase(name);
  failing_.erase(name);
  nodes_.erase(name);
}

std::string Cluster::WhyEnded(const std::string& name) const {
  const auto why = why_ended_.find(name);
  return why == why_ended_.end() ? "" : why->second;
}

// ---- Time

bool Cluster::RunUntil(std::function<bool()> done, absl::Duration limit) {
  return world_.RunUntil([&done] { return done(); }, limit);
}

bool Cluster::Settle(absl::Duration limit) {
  return RunUntil([this] { return settled(); }, limit);
}

bool Cluster::settled() {
  SharedMap newest = NewestMap();
  if (!newest || !VotersAreWhole(*newest) || !leaving_.empty()) return false;
  size_t up = 0;
  for (const auto& [name, node] : nodes_) {
    if (paused(name)) continue;
    auto map = node->membership().map();
    if (!node->ready() || !map || map->version != newest->version) return false;
  }
  for (const auto& node : newest->nodes) up += node.state == NodeState::kUp;
  if (up != nodes_.size() - paused_.size()) return false;
  const Copies copies(*newest);
  std::vector<size_t> wanted;  // By role.
  for (size_t role = 0; role < newest->roles.size(); ++role) {
    wanted.push_back(std::min<size_t>(newest->config.replicas, CountHosts(*newest, copies, role)));
  }
  return std::all_of(newest->shards.begin(), newest->shards.end(), [&](const ShardEntry& shard) {
    if (shard.state == ShardState::kLost) return true;
    const auto id = static_cast<ShardId>(&shard - newest->shards.data());
    const auto live = static_cast<size_t>(std::count_if(
        shard.isr.begin(), shard.isr.end(), [&](CopyId copy) { return newest->IsUp(copy); }));
    return shard.state == ShardState::kActive && live >= wanted[newest->RoleOf(id)];
  });
}

void Cluster::OnStep(kj::Function<void()> step, absl::Duration every) {
  absl::Time next = world_.Now();
  kj::Function<void()> paced = [this, step = kj::mv(step), every, next]() mutable {
    const absl::Time now = world_.Now();
    if (now < next) return;
    next = now + every;
    step();
  };
  world_.OnStep(kj::mv(paced));
}

// ---- What is seen

SharedMap Cluster::NewestMap() {
  SharedMap newest;
  for (const auto& [name, node] : nodes_) {
    auto map = node->membership().map();
    if (map && (!newest || map->version > newest->version)) newest = map;
  }
  return newest;
}

std::string Cluster::Coordinator() {
  for (const auto& [name, node] : nodes_) {
    auto coordinator = node->membership().coordinator();
    if (!paused(name) && !coordinator.empty()) return coordinator;
  }
  return "";
}

std::string Cluster::PrimaryOf(const ActorId& actor) {
  auto map = NewestMap();
  if (!map) return "";
  const auto& shard = map->shards[ShardOf(actor, *map)];
  const auto* node = map->FindBoot(shard.primary);
  return node == nullptr ? "" : node->name;
}

std::string Cluster::Describe() {
  auto map = NewestMap();
  if (!map) return "no map";
  std::string out = absl::StrCat("map ", map->version, ", voters");
  for (const auto& voter : map->voters) absl::StrAppend(&out, " ", voter.node);
  absl::StrAppend(&out, ", pending ", map->pending.size());
  for (const auto& node : map->nodes) {
    absl::StrAppend(&out, "; ", node.name, " boot ", node.boot, " state ",
                    static_cast<int>(node.state));
  }
  for (const auto& [name, node] : nodes_) {
    auto seen = node->membership().map();
    absl::StrAppend(&out, "; ", name, paused(name) ? " paused" : "", " ready ", node->ready(),
                    " map ", seen ? seen->version : 0, " coordinator ",
                    node->membership().coordinator(), " sees");
    for (const auto& member : node->membership().members()) {
      absl::StrAppend(&out, " ", member.name, "=", member.state);
    }
  }
  for (size_t i = 0; i < map->shards.size(); ++i) {
    const auto& shard = map->shards[i];
    absl::StrAppend(&out, "\n  shard ", i, " state ", static_cast<int>(shard.state), " epoch ",
                    shard.epoch, " primary ", shard.primary, " isr {",
                    absl::StrJoin(shard.isr, ","), "} elr {", absl::StrJoin(shard.elr, ","),
                    "} learners {", absl::StrJoin(shard.learners, ","), "}");
  }
  return out;
}

// ---- Faults

void Cluster::Kill(const std::string& name, SimDiskAfter disk) {
  paused_.erase(name);
  world_.Kill(name, disk);
}

void Cluster::PowerOff(const std::string& name, SimDiskAfter disk) {
  paused_.erase(name);
  world_.PowerOff(name, disk);
}

void Cluster::Restart(const std::string& name) { Require(TryRestart(name)); }

absl::Status Cluster::TryRestart(const std::string& name) {
  world_.Restart(name);
  if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
  return StartNode(name);
}

void Cluster::Pause(const std::string& name, SimPause what) {
  if (!has(name)) return;
  paused_.insert(name);
  world_.Pause(name, what);
}

void Cluster::Resume(const std::string& name) {
  paused_.erase(name);
  world_.Resume(name);
}

void Cluster::Partition(const std::vector<std::vector<std::string>>& groups) {
  for (size_t i = 0; i < groups.size(); ++i) {
    for (size_t j = i + 1; j < groups.size(); ++j) {
      for (const auto& a : groups[i]) {
        for (const auto& b : groups[j]) world_.Cut(a, b);
      }
    }
  }
}

// ---- Changes that an operator makes

void Cluster::Add(const std::string& name) {
  AddMachine(name);
  names_.push_back(name);
  Require(StartNode(name));
}

void Cluster::Leave(const std::string& name, absl::Duration limit) {
  KJ_REQUIRE(has(name), "no process lives there", name.c_str());
  if (leaving(name)) return;
  auto& node = *nodes_.at(name);
  // However it ends; its log says whether in order.
  auto drained = node.Drain(limit).catch_([](kj::Exception&&) {}).then([this, name] {
    EndSoon(name, &Cluster::EndAfterLeaving);
  });
  leaving_.emplace(name, drained.eagerlyEvaluate(nullptr));
}

void Cluster::EndAfterLeaving(const std::string& name) {
  Kill(name, SimDiskAfter::kKeep);
  std::erase(names_, name);
}

// ---- Clients

Client& Cluster::AddClient(const std::string& name) {
  auto& machine = world_.AddMachine(name);
  ClientOptions options;
  options.nodes = seeds_;
  options.name = name;
  options.cluster_name = options_.node.membership.cluster_name;
  return *(clients_[name] = std::make_unique<Client>(machine.control(), options));
}

std::vector<std::string> Cluster::client_names() const {
  std::vector<std::string> names;
  for (const auto& [name, client] : clients_) names.push_back(name);
  return names;
}

void Cluster::RemoveClient(const std::string& name) {
  world_.OnDestroy(name, [this, name] { clients_.erase(name); });
  world_.Kill(name, SimDiskAfter::kErase);
}

}  // namespace troupe::sim
