#include "chaos_run.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/sim/linearizability.h"

namespace troupe::chaos {
namespace {

constexpr absl::Duration kFoundingLimit = absl::Seconds(90);
constexpr absl::Duration kStopLimit = absl::Seconds(40);
constexpr absl::Duration kReadLimit = absl::Seconds(60);
constexpr absl::Duration kCalm = absl::Milliseconds(500);
constexpr size_t kViolationsMax = 20;  // Of which a person reads the first.

}  // namespace

ChaosRun::ChaosRun(Host& host, Ground& ground, ChaosOptions options)
    : host_(host),
      ground_(ground),
      options_(std::move(options)),
      began_(host.clock().Now()),
      cluster_(host, ground, options_.binary),
      workload_(host, {.nodes = cluster_.addresses(), .seed = options_.seed}),
      deck_(cluster_, options_.kinds, options_.at_once, options_.soak ? 1 : 0,
            Random(options_.seed).Fork("faults")),
      random_(Random(options_.seed).Fork("run")) {}

Task<void> ChaosRun::Run() {
  auto found = Found();
  co_await found;
  auto watch = Watch().AsPromise();
  workload_.Start();
  auto suffered = Suffer().AsPromise().exclusiveJoin(kj::mv(watch));
  co_await suffered;
  auto checked = Check();
  co_await checked;
  findings_.seconds = Seconds();
}

Task<void> ChaosRun::Found() {
  for (size_t i = 0; i < cluster_.size(); ++i) cluster_.Start(i);
  auto connected = workload_.Connected(kFoundingLimit);
  co_await connected;
  auto healthy = cluster_.Healthy(kFoundingLimit);
  const std::string trouble = co_await healthy;
  if (!trouble.empty()) {
    auto failure = Overloaded(absl::StrCat("the cluster did not come about: ", trouble));
    co_await Fail(kj::mv(failure));
  }
  Say(absl::StrCat("founded: ", cluster_.size(), " nodes, ready"));
}

Task<void> ChaosRun::Suffer() {
  const absl::Time until = host_.clock().Now() + options_.length;
  findings_.healthy = true;
  while (host_.clock().Now() < until && findings_.violations.empty()) {
    auto calm = Sleep(kCalm + absl::Milliseconds(static_cast<int64_t>(random_.Below(1000))));
    co_await calm;
    auto faults = deck_.Next();
    absl::Duration length = absl::ZeroDuration();
    const size_t first = findings_.faults.size();
    for (auto& fault : faults) {
      length = std::max(length, fault.length);
      Say(absl::StrFormat("fault %d: %s: %s, for %.1f s", findings_.faults.size() + 1, fault.kind,
                          fault.what, absl::ToDoubleSeconds(fault.length)));
      findings_.faults.push_back(
          {Seconds(), fault.kind, fault.what, absl::ToDoubleSeconds(fault.length), -1});
      fault.begin();
    }
    // All of an episode end together, so that they do overlap.
    auto lasting = Sleep(length);
    co_await lasting;
    for (auto& fault : faults) fault.end();
    const absl::Time ended = host_.clock().Now();
    auto healing = cluster_.Healthy(options_.health_limit);
    const std::string trouble = co_await healing;
    const double took = absl::ToDoubleSeconds(host_.clock().Now() - ended);
    if (!trouble.empty()) {
      findings_.healthy = false;
      Violation(absl::StrCat("not healthy ", absl::FormatDuration(options_.health_limit),
                             " after the fault: ", trouble));
      co_return;
    }
    for (size_t i = first; i < findings_.faults.size(); ++i) {
      findings_.faults[i].healthy_after_seconds = took;
    }
    Say(absl::StrFormat("ended; healthy after %.1f s; %d calls answered, %d unknown", took,
                        workload_.answered(), workload_.unknown()));
  }
}

Task<void> ChaosRun::Check() {
  auto stopped = workload_.Stop();
  co_await stopped;
  if (findings_.healthy) {
    auto read = workload_.ReadAll(kReadLimit);
    co_await read;
  }
  LookForTroubles();
  if (options_.soak) JudgeGrowth();
  JudgeHistory();
  if (findings_.healthy) CompareCounters();
  for (const auto& [words, times] : workload_.wrong()) {
    Violation(absl::StrCat("calls failed, ", times, " times: ", words));
  }
  auto ended = cluster_.Stop(kStopLimit);
  for (const auto& trouble : co_await ended) Violation(trouble);
  LookForTroubles();
}

Task<void> ChaosRun::Watch() {
  for (;;) {
    auto pause = Sleep(absl::Seconds(1));
    co_await pause;
    LookForTroubles();
  }
}

Task<void> ChaosRun::Sleep(absl::Duration duration) {
  auto slept = host_.timer().afterDelay(ToKj(duration));
  co_await slept;
}

void ChaosRun::LookForTroubles() {
  for (const auto& trouble : cluster_.NewTroubles()) Violation(trouble);
  for (size_t i = 0; i < cluster_.size(); ++i) {
    const size_t bytes = cluster_.MemoryOf(i);
    if (bytes > options_.memory_max && findings_.memory_bytes <= options_.memory_max) {
      Violation(absl::StrCat(cluster_.name(i), " has ", bytes >> 20, " MiB resident; expected ",
                             options_.memory_max >> 20, " at most"));
    }
    findings_.memory_bytes = std::max(findings_.memory_bytes, bytes);
  }
  if (options_.soak) spared_memory_.push_back(cluster_.MemoryOf(0));
}

// What is warm after a third of the time is to hold, but for what allocators and large calls need.
void ChaosRun::JudgeGrowth() {
  constexpr size_t kSlack = 48u << 20;
  auto median = [this](size_t begin, size_t end) {
    std::vector<size_t> part(spared_memory_.begin() + static_cast<ptrdiff_t>(begin),
                             spared_memory_.begin() + static_cast<ptrdiff_t>(end));
    std::nth_element(part.begin(), part.begin() + static_cast<ptrdiff_t>(part.size() / 2),
                     part.end());
    return part[part.size() / 2];
  };
  const size_t all = spared_memory_.size();
  if (all < 12) return;
  const size_t warm = median(all / 3, all / 2), last = median(all - all / 6, all);
  findings_.growth = static_cast<double>(last) / static_cast<double>(warm);
  Say(absl::StrFormat("memory of %s, which was never killed: %d MiB when warm, %d MiB at the end",
                      cluster_.name(0), warm >> 20, last >> 20));
  if (last > warm + warm / 5 + kSlack) {
    Violation(absl::StrCat("the memory of ", cluster_.name(0), " grew from ", warm >> 20, " to ",
                           last >> 20, " MiB"));
  }
}

void ChaosRun::JudgeHistory() {
  findings_.linearizable = true;
  for (const auto& [object, operations] : workload_.history().ByObject()) {
    const bool counter = object.rfind("counter", 0) == 0;
    const auto judged =
        sim::Judge(counter ? sim::Model::kCounter : sim::Model::kRegister, operations);
    if (judged.verdict == sim::Verdict::kLinearizable) continue;
    findings_.linearizable = false;
    Violation(absl::StrCat(object,
                           judged.verdict == sim::Verdict::kViolation ? " is not linearizable: "
                                                                      : " could not be judged: ",
                           judged.explanation));
  }
}

// The last value of each counter lies between what was answered and that with all that is unknown.
void ChaosRun::CompareCounters() {
  struct Sum {
    int64_t answered = 0, unknown = 0, last = 0;
  };
  std::map<std::string, Sum> sums;
  for (const auto& operation : workload_.history().operations()) {
    if (operation.object.rfind("counter", 0) != 0) continue;
    Sum& sum = sums[operation.object];
    if (operation.call == "add") {
      const int64_t by = std::atoll(operation.arguments[0].c_str());
      if (operation.outcome == sim::Outcome::kOk) sum.answered += by;
      if (operation.outcome == sim::Outcome::kUnknown) sum.unknown += by;
    } else if (operation.client == "last") {
      sum.last = std::atoll(operation.result.c_str());
    }
  }
  for (const auto& [object, sum] : sums) {
    findings_.lost += sum.last < sum.answered;
    findings_.doubled += sum.last > sum.answered + sum.unknown;
  }
  if (findings_.lost > 0) Violation(absl::StrCat(findings_.lost, " counters lost an answered add"));
  if (findings_.doubled > 0) Violation(absl::StrCat(findings_.doubled, " counters added twice"));
}

void ChaosRun::Say(const std::string& text) const {
  std::printf("%7.1f s  %s\n", Seconds(), text.c_str());
  std::fflush(stdout);
}

void ChaosRun::Violation(const std::string& text) {
  Say(absl::StrCat("VIOLATION: ", text));
  if (findings_.violations.size() < kViolationsMax) findings_.violations.push_back(text);
}

double ChaosRun::Seconds() const { return absl::ToDoubleSeconds(host_.clock().Now() - began_); }

}  // namespace troupe::chaos
