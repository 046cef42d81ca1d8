// troupe-sim: runs seeds of the simulator, tells what failed and how to see it again.
//
// Each job is a process of its own, so that a crash or an endless loop is a failure of its seed and
// of no other.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "troupe/sim/prefixes.h"
#include "troupe/sim/run.h"

namespace troupe::sim {
namespace {

constexpr unsigned kWallLimitSeconds = 300;  // Of one seed, with sanitizers on a busy machine.

struct Arguments {
  uint64_t first = 1, last = 20;
  size_t nodes_first = 0, nodes_last = 0;
  double minutes = 0;
  RunOptions run;
  size_t jobs = 1;
  bool json = false, hash = false, trace = false, quiet = false;
  std::string replay;  // The flags that a single seed needs to be the same again.
};

void Usage(std::ostream& out) {
  out << "usage: troupe-sim [--seeds A..B] [--nodes N | A..B] [--minutes M] [--nemesis LIST]\n"
         "                  [--budget within|beyond] [--prefix NAME] [--state memory|disk]\n"
         "                  [--jobs N] [--trace] [--hash] [--json]\n\n"
         "  --seeds    1..20\n"
         "  --nodes    3 to 9; by seed\n"
         "  --minutes  of virtual time with faults, for each seed; by seed, up to 25 s\n"
         "  --nemesis  kinds of faults, separated by commas, or all or none; by seed, each with\n"
         "             p = 0.5\n"
         "  --budget   whether all copies of a shard may die; by seed\n"
         "  --prefix   directed trials that begin with it, or none; by seed: every second, unless\n"
         "             something above is given, which trials take no notice of\n"
         "  --state    where actors have theirs: memory, or disk, as durable types do; memory\n"
         "  --jobs     processes; 0: this one\n"
         "  --trace    the logs of the nodes go to standard error\n"
         "  --hash     prints the trace hash of each seed\n"
         "  --json     the last line sums up as JSON\n\nkinds of faults:\n";
  for (const auto& nemesis : AllNemeses()) {
    out << absl::StrCat("  ", std::string(nemesis.name), std::string(16 - nemesis.name.size(), ' '),
                        std::string(nemesis.what), "\n");
  }
  out << "\nprefixes:\n";
  for (const Prefix& prefix : AllPrefixes()) out << "  " << prefix.name << "\n";
}

template <typename Number>
bool ParseRange(const std::string& text, Number& first, Number& last) {
  std::vector<std::string> ends = absl::StrSplit(text, "..");
  if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first)) return false;
  return absl::SimpleAtoi(ends.back(), &last) && first <= last;
}

bool ParseNemeses(const std::string& text, RunOptions& run) {
  run.choice = RunOptions::Choice::kThese;
  if (text == "none") return true;
  if (text == "all") {
    for (const auto& nemesis : AllNemeses()) run.nemeses.push_back(&nemesis);
    return true;
  }
  std::vector<std::string> names = absl::StrSplit(text, ',');
  for (const auto& name : names) {
    const auto* nemesis = FindNemesis(name);
    if (nemesis == nullptr) return false;
    run.nemeses.push_back(nemesis);
  }
  return true;
}

bool ParsePrefix(const std::string& text, RunOptions& run) {
  run.prefix = text;
  const auto& all = AllPrefixes();
  return text == "none" || std::any_of(all.begin(), all.end(),
                                       [&](const Prefix& prefix) { return prefix.name == text; });
}

bool TakeValue(Arguments& to, const std::string& flag, const std::string& value) {
  if (flag == "--seeds") return ParseRange(value, to.first, to.last);
  if (flag == "--jobs") return absl::SimpleAtoi(value, &to.jobs) && to.jobs <= 64;
  absl::StrAppend(&to.replay, " ", flag, " ", value);
  if (flag == "--nodes") {
    return ParseRange(value, to.nodes_first, to.nodes_last) && to.nodes_first >= 1 &&
           to.nodes_last <= 9;
  }
  if (flag == "--minutes") return absl::SimpleAtod(value, &to.minutes) && to.minutes > 0;
  if (flag == "--nemesis") return ParseNemeses(value, to.run);
  if (flag == "--prefix") return ParsePrefix(value, to.run);
  if (flag == "--state") {
    to.run.state = value == "disk" ? StateChoice::kOnDisk : StateChoice::kInMemory;
    return value == "disk" || value == "memory";
  }
  if (flag != "--budget") return false;
  to.run.budget = value == "beyond" ? BudgetChoice::kBeyond : BudgetChoice::kWithin;
  return value == "beyond" || value == "within";
}

bool Take(int argc, char** argv, Arguments& to) {
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i], value;
    if (flag == "--json" || flag == "--hash" || flag == "--trace" || flag == "--quiet") {
      (flag == "--json"    ? to.json
       : flag == "--hash"  ? to.hash
       : flag == "--trace" ? to.trace
                           : to.quiet) = true;
      continue;
    }
    if (auto equals = flag.find('='); equals != std::string::npos) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    }
    if (!TakeValue(to, flag, value)) {
      std::cerr << "troupe-sim: not understood: " << flag << " " << value << "\n";
      return false;
    }
  }
  return true;
}

// ---- One seed

RunOptions OptionsOf(const Arguments& arguments, uint64_t seed) {
  RunOptions options = arguments.run;
  options.seed = seed;
  if (arguments.nodes_first != 0) {
    options.nodes =
        arguments.nodes_first + seed % (arguments.nodes_last - arguments.nodes_first + 1);
  }
  options.duration = absl::Minutes(arguments.minutes);
  return options;
}

std::string Report(const Arguments& arguments, const RunResult& result) {
  std::string text = absl::StrCat("seed ", result.seed, " FAILED: ", result.nodes, " nodes, ",
                                  absl::FormatDuration(result.virtual_time), " virtual, ",
                                  result.budget == FaultBudget::kWithin ? "within" : "beyond",
                                  " the fault budget\n");
  if (result.prefix.empty()) {
    absl::StrAppend(&text, "  nemeses: ", absl::StrJoin(result.nemeses, ","),
                    "\n  at last: ", absl::StrJoin(result.said, "; "), "\n");
  } else {
    absl::StrAppend(&text, "  a directed trial: ", result.prefix, "\n");
  }
  for (const auto& problem : result.problems) absl::StrAppend(&text, "  ", problem, "\n");
  absl::StrAppend(&text, "  to see it again: ./dev sim --seeds ", result.seed, arguments.replay,
                  " --trace\n");
  return text;
}

struct Totals {
  std::vector<uint64_t> failed;
  std::map<uint64_t, uint64_t> hashes;  // By seed.
  double virtual_seconds = 0;
  uint64_t answered = 0, unknown = 0, beyond = 0, lost = 0, seeds = 0;
};

// As it goes through the pipe of a job: one line.
std::string Line(const RunResult& result) {
  return absl::StrCat("done ", result.seed, " ", result.problems.empty() ? 0 : 1, " ",
                      result.trace_hash, " ", absl::ToDoubleSeconds(result.virtual_time), " ",
                      result.answered, " ", result.unknown, " ",
                      result.budget == FaultBudget::kBeyond ? 1 : 0, " ", result.lost_shards, "\n");
}

void Count(const std::string& line, Totals& totals) {
  std::vector<std::string> parts = absl::StrSplit(line, ' ');
  if (parts.size() != 9) return;
  uint64_t seed = 0, bad = 0, hash = 0, answered = 0, unknown = 0, beyond = 0, lost = 0;
  double seconds = 0;
  (void)absl::SimpleAtoi(parts[1], &seed), (void)absl::SimpleAtoi(parts[2], &bad);
  (void)absl::SimpleAtoi(parts[3], &hash), (void)absl::SimpleAtod(parts[4], &seconds);
  (void)absl::SimpleAtoi(parts[5], &answered), (void)absl::SimpleAtoi(parts[6], &unknown);
  (void)absl::SimpleAtoi(parts[7], &beyond), (void)absl::SimpleAtoi(parts[8], &lost);
  if (bad != 0) totals.failed.push_back(seed);
  totals.hashes[seed] = hash;
  totals.virtual_seconds += seconds;
  totals.answered += answered, totals.unknown += unknown;
  totals.beyond += beyond, totals.lost += lost != 0, ++totals.seeds;
}

// ---- Jobs

struct Job {
  pid_t pid = 0;
  int pipe = -1;
  uint64_t next = 0;  // The seed it runs or is about to run.
  std::string unread;
};

void Write(int to, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = write(to, text.data() + at, text.size() - at);
    if (n <= 0) std::_Exit(1);
    at += static_cast<size_t>(n);
  }
}

void RunSeeds(const Arguments& arguments, uint64_t first, int to) {
  for (uint64_t seed = first; seed <= arguments.last; seed += std::max<size_t>(arguments.jobs, 1)) {
    alarm(kWallLimitSeconds);
    const auto result = RunSeed(OptionsOf(arguments, seed));
    if (!result.problems.empty()) std::cerr << Report(arguments, result) << std::flush;
    Write(to, Line(result));
  }
}

void Spawn(const Arguments& arguments, Job& job) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  job.pid = fork();
  if (job.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    RunSeeds(arguments, job.next, ends[1]);
    std::cout << std::flush;
    std::_Exit(0);
  }
  close(ends[1]);
  job.pipe = ends[0];
}

void TakeLines(const Arguments& arguments, Job& job, Totals& totals) {
  for (size_t end; (end = job.unread.find('\n')) != std::string::npos;) {
    Count(job.unread.substr(0, end), totals);
    job.unread.erase(0, end + 1);
    job.next += arguments.jobs;
  }
}

// The job has ended: of itself, or in the middle of a seed.
void Ended(const Arguments& arguments, Job& job, Totals& totals) {
  close(job.pipe);
  int status = 0;
  waitpid(job.pid, &status, 0);
  job.pid = 0;
  if (job.next > arguments.last) return;
  RunResult result;
  result.seed = job.next;
  result.problems.push_back(
      WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
          ? absl::StrCat("no end within ", kWallLimitSeconds, " s of real time")
          : absl::StrCat("the process died, wait status ", status));
  std::cerr << Report(arguments, result) << std::flush;
  Count(Line(result).substr(0, Line(result).size() - 1), totals);
  job.next += arguments.jobs;
  if (job.next <= arguments.last) Spawn(arguments, job);
}

void RunJobs(const Arguments& arguments, Totals& totals) {
  std::vector<Job> jobs(arguments.jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].next = arguments.first + i;
    if (jobs[i].next <= arguments.last) Spawn(arguments, jobs[i]);
  }
  for (;;) {
    std::vector<pollfd> polled;
    std::vector<Job*> whose;
    for (auto& job : jobs) {
      if (job.pid == 0) continue;
      polled.push_back({job.pipe, POLLIN, 0});
      whose.push_back(&job);
    }
    if (polled.empty()) return;
    poll(polled.data(), polled.size(), -1);
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = read(polled[i].fd, buffer, sizeof buffer);
      if (n > 0) {
        whose[i]->unread.append(buffer, static_cast<size_t>(n));
        TakeLines(arguments, *whose[i], totals);
      } else {
        Ended(arguments, *whose[i], totals);
      }
    }
  }
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (std::any_of(argv, argv + argc, [](std::string flag) { return flag == "--help"; })) {
    Usage(std::cout);
    return 0;
  }
  if (!Take(argc, argv, arguments)) {
    Usage(std::cerr);
    return 2;
  }
  if (arguments.trace) setenv("TROUPE_SIM_TRACE", "1", 1);
  const auto begin = std::chrono::steady_clock::now();
  Totals totals;
  if (arguments.jobs == 0) {
    for (uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
      const auto result = RunSeed(OptionsOf(arguments, seed));
      if (!result.problems.empty()) std::cerr << Report(arguments, result) << std::flush;
      const auto line = Line(result);
      Count(line.substr(0, line.size() - 1), totals);
    }
  } else {
    RunJobs(arguments, totals);
  }
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::sort(totals.failed.begin(), totals.failed.end());
  if (arguments.hash) {
    for (const auto& [seed, hash] : totals.hashes) {
      std::cout << absl::StrCat("seed ", seed, " hash ", absl::Hex(hash, absl::kZeroPad16), "\n");
    }
  }
  const auto failed = absl::StrJoin(totals.failed, ",");
  if (!arguments.quiet) {
    std::cout << absl::StrCat(totals.seeds, " seeds, ", totals.failed.size(), " failed; ",
                              totals.virtual_seconds, " s virtual in ", wall, " s; ",
                              totals.answered, " calls answered, ", totals.unknown, " not; ",
                              totals.beyond, " seeds beyond the fault budget, ", totals.lost,
                              " with lost shards\n");
  }
  if (arguments.json) {
    std::cout << absl::StrCat("{\"seeds\":", totals.seeds, ",\"failed\":[", failed,
                              "],\"virtual_seconds\":", totals.virtual_seconds,
                              ",\"wall_seconds\":", wall, "}\n");
  }
  return totals.failed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace troupe::sim

int main(int argc, char** argv) { return troupe::sim::Main(argc, argv); }
