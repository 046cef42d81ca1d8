#include "troupe/sim/run.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/linearizability.h"
#include "troupe/sim/workload.h"

namespace troupe::sim {
namespace {

constexpr size_t kProblemsMax = 10;
constexpr absl::Duration kFoundLimit = absl::Seconds(60);
constexpr absl::Duration kSettleLimit = absl::Seconds(120);
constexpr absl::Duration kIdleLimit = absl::Seconds(60);
constexpr absl::Duration kCalm = absl::Seconds(1);  // With calls, after healing.
constexpr absl::Duration kLookEvery = absl::Milliseconds(5);
constexpr size_t kLogLines = 25;  // Told of a cluster that is stuck.
constexpr LinearizabilityLimits kJudgeLimits{2'000'000, 500'000};

ClusterOptions DrawCluster(const RunOptions& options, Random& random) {
  ClusterOptions cluster;
  cluster.seed = options.seed;
  size_t nodes = random.Chance(0.6) ? 3 : 4 + random.Below(6);
  if (options.nodes != 0) nodes = options.nodes;
  cluster.nodes.clear();
  for (size_t i = 0; i < nodes; ++i)
    cluster.nodes.push_back(std::string(1, static_cast<char>('a' + i)));
  cluster.workers = 1 + random.Below(2);
  cluster.config.shards = 4 + static_cast<uint32_t>(random.Below(9));
  if (random.Chance(0.3)) {
    for (const auto& name : cluster.nodes) {
      if (random.Chance(0.5)) cluster.diskless.insert(name);
    }
  }
  if (random.Chance(0.3)) {
    for (const auto& name : cluster.nodes) cluster.zones[name] = absl::StrCat("z", random.Below(3));
  }
  if (random.Chance(0.2)) {
    cluster.world.link.latency_min = absl::Milliseconds(5);
    cluster.world.link.latency_max = absl::Milliseconds(20);
  }
  if (options.adjust) options.adjust(cluster);
  return cluster;
}

class Runner {
 public:
  Runner(const RunOptions& options, RunResult& result)
      : options_(options), result_(result), random_(Random(options.seed).Fork("run")) {
    auto drawn_nemeses = random_.Fork("nemeses");
    nemeses_ = options.choice == RunOptions::Choice::kBySeed ? DrawNemeses(drawn_nemeses)
                                                             : options.nemeses;
    const bool beyond = random_.Chance(0.15);
    result_.budget = options.budget == BudgetChoice::kBySeed
                         ? (beyond ? FaultBudget::kBeyond : FaultBudget::kWithin)
                         : (options.budget == BudgetChoice::kBeyond ? FaultBudget::kBeyond
                                                                    : FaultBudget::kWithin);
    for (const auto* nemesis : nemeses_) result_.nemeses.emplace_back(nemesis->name);
    Workload::Register(registry_);
  }

  void Run() {
    Cluster cluster(DrawCluster(options_, random_), registry_);
    result_.nodes = cluster.names().size();
    Watch(cluster);
    try {
      Play(cluster);
    } catch (const kj::Exception& e) {
      Problem(absl::StrCat("thrown: ", kj::str(e).cStr()));
    }
    result_.virtual_time = cluster.world().Now() - absl::UnixEpoch();
    result_.trace_hash = cluster.world().trace_hash();
  }

  void Problem(std::string text) {
    if (result_.problems.size() < kProblemsMax) result_.problems.push_back(std::move(text));
  }

 private:
  void Watch(Cluster& cluster) {
    kj::Function<void()> look = [this, &cluster, next = cluster.world().Now(),
                                 watch = std::function<void()>()]() mutable {
      if (options_.watch && !watch) {
        watch = options_.watch(cluster, [this](std::string text) { Problem(std::move(text)); });
      }
      if (watch) watch();
      if (cluster.world().Now() < next) return;
      next = cluster.world().Now() + kLookEvery;
      NoteLost(cluster);
    };
    cluster.OnStep(kj::mv(look));
  }

  // For the report: when a shard lost its last copy, and what the map was then.
  void NoteLost(Cluster& cluster) {
    auto map = cluster.NewestMap();
    if (!map || map == seen_) return;
    for (ShardId shard = 0; shard < map->shards.size() && first_loss_.empty(); ++shard) {
      if (map->shards[shard].state != ShardState::kLost) continue;
      first_loss_ = absl::StrCat("shard ", shard, " is lost at ",
                                 absl::FormatDuration(cluster.world().Now() - absl::UnixEpoch()),
                                 " with ", cluster.Describe());
      if (seen_) {
        absl::StrAppend(&first_loss_, "\n  before, at version ", seen_->version, ": isr {",
                        absl::StrJoin(seen_->shards[shard].isr, ","), "} elr {",
                        absl::StrJoin(seen_->shards[shard].elr, ","), "} state ",
                        static_cast<int>(seen_->shards[shard].state));
      }
    }
    seen_ = map;
  }

  void Play(Cluster& cluster) {
    if (!cluster.Settle(kFoundLimit))
      return Stuck(cluster, "the nodes found no cluster", kFoundLimit);
    Workload workload(cluster, random_.Fork("workload"), {},
                      [this](std::string text) { Problem(std::move(text)); });
    Arena arena(cluster, random_.Fork("arena"), result_.budget);
    Storm storm(arena, nemeses_);
    workload.Start();
    const auto drawn = absl::Seconds(5 + random_.Below(20));
    storm.Rage(options_.duration == absl::ZeroDuration() ? drawn : options_.duration);
    storm.Heal();
    Finish(cluster, workload);
    result_.said = storm.said();
    result_.answered = workload.answered();
    result_.unknown = workload.unknown();
  }

  void Finish(Cluster& cluster, Workload& workload) {
    if (!cluster.Settle(kSettleLimit)) {
      Stuck(cluster, absl::StrCat("the cluster does not serve again\n", workload.DescribeOpen()),
            kSettleLimit);
      return;
    }
    if (!Calm(cluster, workload)) return;
    if (auto lost = LostShards(cluster); !lost.empty() && !Recover(cluster, workload, lost)) return;
    workload.Check();
    Judge(workload);
    if (cluster.world().log().Contains("task failed")) Problem("a node's task failed: see its log");
  }

  // Calls for a while, then none.
  bool Calm(Cluster& cluster, Workload& workload) {
    cluster.Run(kCalm);
    workload.Stop();
    if (cluster.RunUntil([&] { return workload.idle(); }, kIdleLimit)) return true;
    Stuck(cluster, workload.DescribeOpen(), kIdleLimit);
    return false;
  }

  static std::set<ShardId> LostShards(Cluster& cluster) {
    std::set<ShardId> lost;
    auto map = cluster.NewestMap();
    for (ShardId shard = 0; shard < map->shards.size(); ++shard) {
      if (map->shards[shard].state == ShardState::kLost) lost.insert(shard);
    }
    return lost;
  }

  // What an operator does when all copies are gone: begins anew, and knows it.
  bool Recover(Cluster& cluster, Workload& workload, const std::set<ShardId>& lost) {
    result_.lost_shards = lost.size();
    if (result_.budget == FaultBudget::kWithin) {
      Problem(
          absl::StrCat(lost.size(), " shards are lost, within the fault budget; ", first_loss_));
    }
    auto& node = cluster.node(cluster.names().front());
    for (ShardId shard : lost) {
      troupe::Recover command{shard, cluster.NewestMap()->shards[shard].lineage};
      auto submitted = node.membership().Submit(command).then([] { return 0; });
      cluster.Await(kj::mv(submitted));
    }
    if (!cluster.Settle(kSettleLimit)) {
      Stuck(cluster, "the cluster does not serve after Recover", kSettleLimit);
      return false;
    }
    workload.Forget(lost);
    workload.Start();
    return Calm(cluster, workload);
  }

  void Judge(const Workload& workload) {
    for (const auto& [object, operations] : workload.history().ByObject()) {
      const bool is_register = object.starts_with("register");
      if (!is_register && !object.starts_with("counter") && !object.starts_with("burst")) continue;
      const auto judgement =
          sim::Judge(is_register ? Model::kRegister : Model::kCounter, operations, kJudgeLimits);
      if (judgement.verdict == Verdict::kViolation) {
        Problem(absl::StrCat(object, " is not linearizable: ", judgement.explanation));
      }
    }
  }

  void Stuck(Cluster& cluster, const std::string& what, absl::Duration limit) {
    std::string text = absl::StrCat("stuck: within ", absl::FormatDuration(limit), ": ", what, "\n",
                                    cluster.Describe());
    const auto& lines = cluster.world().log().lines();
    for (size_t i = lines.size() - std::min(lines.size(), kLogLines); i < lines.size(); ++i) {
      absl::StrAppend(&text, "\n  ", lines[i]);
    }
    Problem(std::move(text));
  }

  const RunOptions& options_;
  RunResult& result_;
  Random random_;
  std::vector<const Nemesis*> nemeses_;
  Registry registry_;
  SharedMap seen_;
  std::string first_loss_;
};

}  // namespace

RunResult RunSeed(const RunOptions& options) {
  RunResult result;
  result.seed = options.seed;
  Runner runner(options, result);
  try {
    runner.Run();
  } catch (const kj::Exception& e) {
    runner.Problem(absl::StrCat("thrown: ", kj::str(e).cStr()));
  }
  return result;
}

}  // namespace troupe::sim
