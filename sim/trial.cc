#include "troupe/sim/trial.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/diary.h"
#include "troupe/sim/invariants.h"
#include "troupe/sim/ledger.h"
#include "troupe/sim/linearizability.h"
#include "troupe/sim/prefixes.h"

namespace troupe::sim {
namespace {

constexpr int kRoundsMax = 4;
constexpr absl::Duration kCheckEvery = absl::Milliseconds(1);

ClusterOptions Draw(Random& random, uint64_t seed, const TrialOptions& trial) {
  ClusterOptions out;
  out.seed = seed;
  const char* const names[] = {"a", "b", "c", "d", "e"};
  const size_t nodes = random.Chance(0.65) ? 3 : 4 + random.Below(2);
  out.nodes.assign(names, names + nodes);
  out.workers = 1 + random.Below(2);
  out.config.shards = static_cast<uint32_t>(1 + random.Below(4));
  if (random.Chance(0.3)) out.config.replicas = 2;
  if (random.Chance(0.5)) out.config.min_isr_setting = 1;
  for (const auto& name : out.nodes) {
    if (random.Chance(0.25)) out.diskless.insert(name);
  }
  if (trial.state == StateChoice::kOnDisk) out.diskless.clear();
  auto& link = out.world.link;
  if (random.Chance(0.3)) link.latency_max = absl::Milliseconds(30);
  if (random.Chance(0.3)) {
    link.loss = 0.05 * random.Unit();
    link.duplicate = 0.05;
    link.reorder = 0.05;
  }
  // A long lease is held still when an old primary is found dead and another leads.
  if (random.Chance(0.6)) out.node.replica.lease = absl::Seconds(2 + random.Below(7));
  if (random.Chance(0.3)) out.node.replica.resend_after *= 0.2 + 2 * random.Unit();
  if (random.Chance(0.3)) out.node.replica.silence_min *= 0.5 + 3 * random.Unit();
  out.node.replica.mutations = &trial.replica;
  out.node.membership.mutations = &trial.membership;
  return out;
}

class Trial {
 public:
  Trial(uint64_t seed, const TrialOptions& options)
      : options_(options), random_(Random(seed).Fork("trial")) {
    Ledgers::Register(registry_, witness_);
    const auto habits = DiaryHabits::Draw(seed, options_.diaries);
    if (habits) Diaries::Register(registry_, habits);
    const auto mix = TradeMix::Draw(seed, options_.traders);
    if (mix) Traders::Register(registry_, *mix);
    if (options_.state == StateChoice::kOnDisk) registry_ = registry_.OnDisk();
    cluster_ = std::make_unique<Cluster>(Draw(random_, seed, options_), registry_);
    auto problem = [this](const std::string& checker, const std::string& what) {
      if (!result_.checker.empty()) return;
      result_.checker = checker;
      result_.problem = absl::StrCat(
          "at ", absl::FormatDuration(cluster_->world().Now() - absl::UnixEpoch()), ": ", what);
    };
    LedgerOptions ledger_options;
    ledger_options.ledgers = static_cast<int>(2 + random_.Below(3));
    // Actors begin all the time.
    if (random_.Chance(0.4)) ledger_options.entries_max = 5 + random_.Below(20);
    ledgers_ =
        std::make_unique<Ledgers>(*cluster_, random_.Fork("ledgers"), ledger_options, problem);
    *witness_ = [this](const std::string& key, uint64_t length, uint64_t hash) {
      ledgers_->OnWitness(key, length, hash);
    };
    if (habits) {
      diaries_ =
          std::make_unique<Diaries>(*cluster_, Random(seed).Fork("diarists"), habits, problem);
    }
    if (mix) {
      traders_ = std::make_unique<Traders>(*cluster_, Random(seed).Fork("merchants"), mix, problem);
    }
    invariants_ = std::make_unique<Invariants>(*cluster_, ledgers_.get(), problem);
    cluster_->OnStep([this] { invariants_->Step(); }, kCheckEvery);
    stage_ = std::unique_ptr<Stage>(new Stage{*cluster_, *ledgers_, random_.Fork("stage"),
                                              ledger_options.clients, ledger_options.reader,
                                              [this] { return over(); }});
    for (const auto& name : cluster_->names()) {
      if (random_.Chance(0.3)) {
        cluster_->world().SetClockRate(name, 0.96 + 0.08 * random_.Unit());
      }
      if (random_.Chance(0.3)) cluster_->world().disk(name).write_max = absl::Milliseconds(60);
    }
  }
  ~Trial() {
    cluster_->OnStep([] {});
    *witness_ = nullptr;
    traders_.reset();
    diaries_.reset();
    ledgers_.reset();
  }

  TrialResult Run(uint64_t seed) {
    try {
      Play(seed);
    } catch (kj::Exception& e) {
      if (result_.checker.empty()) {
        result_.checker = "exception";
        result_.problem = Words(e);
      }
    }
    result_.nodes = cluster_->names().size();
    result_.answered = ledgers_->answered() + (traders_ ? traders_->answered() : 0);
    result_.virtual_time = cluster_->world().Now() - absl::UnixEpoch();
    result_.trace_hash = cluster_->world().trace_hash();
    return result_;
  }

 private:
  // Found something, or no more can be found: copies were lost that nobody could save.
  bool over() const { return !result_.checker.empty() || invariants_->lost(); }

  void Play(uint64_t seed) {
    const Prefix* prefix = Choose(seed);
    if (prefix != nullptr) result_.prefix = std::string(prefix->name);
    const auto play = [&](Prefix::Begins when) {
      if (prefix != nullptr && prefix->begins == when && !over()) prefix->play(*stage_);
    };
    play(Prefix::Begins::kFounding);
    if (over() || !invariants_->Healed(options_.healing_limit) || over()) return;
    ledgers_->Start();
    if (diaries_) diaries_->Start();
    if (traders_) traders_->Start();
    stage_->Run(absl::Milliseconds(400));
    play(Prefix::Begins::kWhole);
    const int rounds = static_cast<int>(1 + random_.Below(kRoundsMax));
    for (int i = 0; i < rounds && !over(); ++i) Round();
    Finish();
  }

  const Prefix* Choose(uint64_t seed) const {
    const auto& prefixes = AllPrefixes();
    if (options_.prefix.empty()) {
      return seed % 2 == 0 ? &prefixes[(seed / 2) % prefixes.size()] : nullptr;
    }
    const auto it = std::find_if(prefixes.begin(), prefixes.end(), [this](const Prefix& prefix) {
      return prefix.name == options_.prefix;
    });
    return it == prefixes.end() ? nullptr : &*it;
  }

  // One or two faults; sometimes healed between, and sometimes until all is whole.
  void Round() {
    stage_->Run(absl::Milliseconds(500));
    const uint64_t strikes = 1 + random_.Below(3);
    for (uint64_t i = 0; i < strikes && !over(); ++i) {
      stage_->Strike();
      stage_->Run(random_.Chance(0.3) ? absl::Milliseconds(60) : absl::Milliseconds(1500));
    }
    if (random_.Chance(0.6)) stage_->Run(absl::Seconds(3));
    stage_->HealAll();
    if (random_.Chance(0.4)) {
      stage_->Until([this] { return cluster_->settled(); }, absl::Seconds(30));
    }
  }

  void Finish() {
    if (over()) return;
    stage_->HealAll();
    const bool whole = invariants_->Healed(options_.healing_limit);
    if (over() || !whole) return;
    ledgers_->Stop();
    stage_->Until([this] { return ledgers_->idle(); }, absl::Seconds(60));
    if (!over() && !ledgers_->idle()) {
      result_.checker = "healing";
      result_.problem = "calls are open a minute after healing";
    }
    ledgers_->ReadAll();
    stage_->Until([this] { return ledgers_->idle(); }, absl::Seconds(30));
    if (over()) return;
    invariants_->CheckCopies();
    if (traders_) {
      traders_->Finish([this](auto done, auto limit) { return stage_->Until(done, limit); });
    }
    if (diaries_ && !over()) {
      diaries_->Finish([this](auto done, auto limit) { return stage_->Until(done, limit); });
      if (!over()) invariants_->CheckCopies();
    }
    if (!over()) JudgeHistory(ledgers_->history());
    if (!over() && diaries_) JudgeHistory(diaries_->history());
  }

  void JudgeHistory(const History& history) {
    const auto judged =
        Judge(Model::kCounter, history, {.steps_max = 300'000, .states_max = 100'000});
    if (judged.verdict != Verdict::kViolation) return;
    result_.checker = "linearizability";
    result_.problem = judged.explanation;
  }

  const TrialOptions options_;
  Random random_;
  Registry registry_;
  const std::shared_ptr<Ledgers::Witness> witness_ = std::make_shared<Ledgers::Witness>();
  TrialResult result_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Ledgers> ledgers_;
  std::unique_ptr<Diaries> diaries_;  // Null: none.
  std::unique_ptr<Traders> traders_;  // Null: none.
  std::unique_ptr<Invariants> invariants_;
  std::unique_ptr<Stage> stage_;
};

}  // namespace

TrialResult RunTrial(uint64_t seed, const TrialOptions& options) {
  return Trial(seed, options).Run(seed);
}

}  // namespace troupe::sim
