#include "troupe/sim/run.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/diary.h"
#include "troupe/sim/invariants.h"
#include "troupe/sim/ledger.h"
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
constexpr absl::Duration kLedgerPause = absl::Milliseconds(60);
constexpr absl::Duration kCheckEvery = absl::Milliseconds(1);
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
  if (options.state == StateChoice::kOnDisk) cluster.diskless.clear();
  cluster.node.replica.mutations = &options.replica;
  cluster.node.membership.mutations = &options.membership;
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
    if (result_.budget == FaultBudget::kWithin) {
      habits_ = DiaryHabits::Draw(options.seed, options.diaries);
      mix_ = TradeMix::Draw(options.seed, options.traders);
    }
    if (mix_) Traders::Register(registry_, *mix_);
    if (habits_) Diaries::Register(registry_, habits_);
    Workload::Register(registry_);
    Ledgers::Register(registry_, witness_);
    if (options.state == StateChoice::kOnDisk) registry_ = registry_.OnDisk();
  }

  void Run() {
    Cluster cluster(DrawCluster(options_, random_), registry_);
    result_.nodes = cluster.names().size();
    std::unique_ptr<Ledgers> ledgers = MakeLedgers(cluster);
    std::unique_ptr<Diaries> diaries;
    if (habits_) {
      auto random = Random(options_.seed).Fork("diarists");
      diaries = std::make_unique<Diaries>(cluster, random, habits_, Speaker(cluster));
    }
    std::unique_ptr<Traders> traders;
    if (mix_) {
      auto random = Random(options_.seed).Fork("merchants");
      traders = std::make_unique<Traders>(cluster, random, mix_, Speaker(cluster));
    }
    Invariants invariants(cluster, ledgers.get(), Speaker(cluster));
    Watch(cluster, invariants);
    try {
      Play(cluster, ledgers.get(), diaries.get(), traders.get());
      if (result_.problems.empty()) invariants.CheckCopies();
    } catch (const kj::Exception& e) {
      Problem("exception", absl::StrCat("thrown: ", kj::str(e).cStr()));
    }
    cluster.OnStep([] {});
    *witness_ = nullptr;
    result_.virtual_time = cluster.world().Now() - absl::UnixEpoch();
    result_.trace_hash = cluster.world().trace_hash();
  }

  void Problem(const std::string& checker, std::string text) {
    if (result_.checker.empty()) result_.checker = checker;
    if (result_.problems.size() < kProblemsMax) result_.problems.push_back(std::move(text));
  }

 private:
  // Each checker is heard once: what is wrong goes on being wrong.
  Ledgers::Problem Speaker(Cluster& cluster) {
    return [this, &cluster, heard = std::make_shared<std::set<std::string>>()](
               const std::string& checker, const std::string& what) {
      if (!heard->insert(checker).second) return;
      Problem(checker, absl::StrCat(checker, ", at ",
                                    absl::FormatDuration(cluster.world().Now() - absl::UnixEpoch()),
                                    ": ", what));
    };
  }

  // Ledgers know nothing of state that is lost and begun anew: only within the budget.
  std::unique_ptr<Ledgers> MakeLedgers(Cluster& cluster) {
    if (result_.budget == FaultBudget::kBeyond) return nullptr;
    LedgerOptions options;
    options.ledgers = 3;
    options.entries_max = 80;
    options.clients = {"book1", "book2"};
    options.pause = kLedgerPause;
    auto ledgers =
        std::make_unique<Ledgers>(cluster, random_.Fork("ledgers"), options, Speaker(cluster));
    *witness_ = [at = ledgers.get()](const std::string& key, uint64_t length, uint64_t hash) {
      at->OnWitness(key, length, hash);
    };
    return ledgers;
  }

  void Watch(Cluster& cluster, Invariants& invariants) {
    kj::Function<void()> look = [this, &cluster, &invariants, next = cluster.world().Now(),
                                 check = cluster.world().Now(),
                                 watch = std::function<void()>()]() mutable {
      if (options_.watch && !watch) {
        watch = options_.watch(cluster,
                               [this](std::string text) { Problem("watcher", std::move(text)); });
      }
      if (watch) watch();
      if (cluster.world().Now() >= check) {
        check = cluster.world().Now() + kCheckEvery;
        invariants.Step();
      }
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

  void Play(Cluster& cluster, Ledgers* ledgers, Diaries* diaries, Traders* traders) {
    if (!cluster.Settle(kFoundLimit))
      return Stuck(cluster, "the nodes found no cluster", kFoundLimit);
    Workload workload(cluster, random_.Fork("workload"), {},
                      [this](std::string text) { Problem("workload", std::move(text)); });
    Arena arena(cluster, random_.Fork("arena"), result_.budget);
    Storm storm(arena, nemeses_);
    workload.Start();
    if (ledgers != nullptr) ledgers->Start();
    if (diaries != nullptr) diaries->Start();
    if (traders != nullptr) traders->Start();
    const auto drawn = absl::Seconds(5 + random_.Below(20));
    storm.Rage(options_.duration == absl::ZeroDuration() ? drawn : options_.duration);
    storm.Heal();
    Finish(cluster, workload, ledgers);
    if (traders != nullptr && result_.problems.empty()) {
      traders->Finish([&](auto done, auto limit) { return cluster.RunUntil(done, limit); });
    }
    if (diaries != nullptr && result_.problems.empty()) ReadDiaries(cluster, *diaries);
    result_.said = storm.said();
    result_.answered = workload.answered() + (ledgers == nullptr ? 0 : ledgers->answered()) +
                       (traders == nullptr ? 0 : traders->answered());
    result_.unknown = workload.unknown();
  }

  void Finish(Cluster& cluster, Workload& workload, Ledgers* ledgers) {
    if (!cluster.Settle(kSettleLimit)) {
      Stuck(cluster, absl::StrCat("the cluster does not serve again\n", workload.DescribeOpen()),
            kSettleLimit);
      return;
    }
    if (ledgers != nullptr) ledgers->Stop();
    if (!Calm(cluster, workload)) return;
    if (ledgers != nullptr && !ReadLedgers(cluster, *ledgers)) return;
    if (auto lost = LostShards(cluster); !lost.empty() && !Recover(cluster, workload, lost)) return;
    workload.Check();
    Judge(workload);
    if (cluster.world().log().Contains("task failed"))
      Problem("exception", "a node's task failed: see its log");
  }

  // Calls for a while, then none.
  bool Calm(Cluster& cluster, Workload& workload) {
    cluster.Run(kCalm);
    workload.Stop();
    if (cluster.RunUntil([&] { return workload.idle(); }, kIdleLimit)) return true;
    Stuck(cluster, workload.DescribeOpen(), kIdleLimit);
    return false;
  }

  bool ReadLedgers(Cluster& cluster, Ledgers& ledgers) {
    const auto idle = [&] { return ledgers.idle(); };
    const bool ended = cluster.RunUntil(idle, kIdleLimit);
    if (ended) ledgers.ReadAll();
    if (ended && cluster.RunUntil(idle, kIdleLimit)) return true;
    Stuck(cluster, "calls of ledgers are open", kIdleLimit);
    return false;
  }

  void ReadDiaries(Cluster& cluster, Diaries& diaries) {
    diaries.Finish([&](auto done, auto limit) { return cluster.RunUntil(done, limit); });
    const auto judgement = sim::Judge(Model::kCounter, diaries.history(), kJudgeLimits);
    if (judgement.verdict != Verdict::kViolation) return;
    Problem("linearizability", absl::StrCat("a diary is not: ", judgement.explanation));
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
          "lost copies",
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
        Problem("linearizability",
                absl::StrCat(object, " is not linearizable: ", judgement.explanation));
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
    Problem("healing", std::move(text));
  }

  const RunOptions& options_;
  RunResult& result_;
  Random random_;
  std::vector<const Nemesis*> nemeses_;
  Registry registry_;
  const std::shared_ptr<Ledgers::Witness> witness_ = std::make_shared<Ledgers::Witness>();
  SharedMap seen_;
  std::string first_loss_;
  std::shared_ptr<DiaryHabits> habits_;  // Null: no diaries.
  std::shared_ptr<const TradeMix> mix_;  // Null: no traders.
};

bool IsTrial(const RunOptions& options) {
  if (!options.prefix.empty()) return options.prefix != "none";
  return options.seed % 2 == 0 && options.choice == RunOptions::Choice::kBySeed &&
         options.budget == BudgetChoice::kBySeed && options.nodes == 0 &&
         options.duration == absl::ZeroDuration() && !options.adjust && !options.watch;
}

RunResult RunAsTrial(const RunOptions& options) {
  TrialOptions trial{options.membership, options.replica, options.prefix,
                     options.diaries,    options.traders, options.state};
  const TrialResult found = RunTrial(options.seed, trial);
  RunResult result;
  result.seed = options.seed;
  result.checker = found.checker;
  result.prefix = found.prefix;
  if (!found.checker.empty()) {
    result.problems.push_back(absl::StrCat(found.checker, ", ", found.problem));
  }
  result.nodes = found.nodes;
  result.virtual_time = found.virtual_time;
  result.trace_hash = found.trace_hash;
  result.answered = found.answered;
  return result;
}

}  // namespace

RunResult RunSeed(const RunOptions& options) {
  if (IsTrial(options)) return RunAsTrial(options);
  RunResult result;
  result.seed = options.seed;
  Runner runner(options, result);
  try {
    runner.Run();
  } catch (const kj::Exception& e) {
    runner.Problem("exception", absl::StrCat("thrown: ", kj::str(e).cStr()));
  }
  return result;
}

}  // namespace troupe::sim
