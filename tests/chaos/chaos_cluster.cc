#include "chaos_cluster.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "capnp/serialize.h"
#include "node_ending.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe::chaos {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kAnswerLimit = absl::Seconds(2);
constexpr auto kLookPause = 50 * kj::MILLISECONDS;

// What no healthy program says, whatever is done to it.
constexpr const char* kBroken[] = {"terminate called",     "*** Fatal",         "Assertion",
                                   "this node has to end", "task failed",       "tick failed",
                                   "dialing failed",       "bookkeeping failed"};

std::string TextFrom(const std::string& path, size_t begin) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(begin));
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

std::string EndOf(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("was ended by signal ", WTERMSIG(status));
  return absl::StrCat("ended with exit code ", WEXITSTATUS(status));
}

}  // namespace

ChaosCluster::ChaosCluster(Host& host, Ground& ground, std::string binary)
    : host_(host), ground_(ground) {
  ClusterPlan plan;
  plan.binary = std::move(binary);
  plan.directory = ground.directory().path();
  plan.places = ground.places();
  plan.arguments = {"--drain-limit", "5s"};
  processes_ = std::make_unique<ClusterProcesses>(std::move(plan));
  log_begin_.resize(size());
  log_seen_.resize(size());
  may_end_.resize(size());
  watcher_ = std::make_unique<Client>(host, ClientOptions{.nodes = addresses(), .name = "watcher"});
}

ChaosCluster::~ChaosCluster() { watcher_ = nullptr; }

void ChaosCluster::Start(size_t node) {
  std::error_code none_yet;
  const auto size = fs::file_size(processes_->nodes()[node].log_file, none_yet);
  log_begin_[node] = none_yet ? 0 : size;
  if (!running(node)) processes_->Start(node);
}

void ChaosCluster::Kill(size_t node) { processes_->Kill(node, SIGKILL); }

void ChaosCluster::Signal(size_t node, int signal) { processes_->Kill(node, signal); }

void ChaosCluster::ExhaustFiles(size_t node) {
  if (!running(node)) return;
  std::vector<bool> used(1 << 16);
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(absl::StrCat("/proc/", pid(node), "/fd"), gone)) {
    const auto number = std::stoul(entry.path().filename().string());
    if (number < used.size()) used[number] = true;
  }
  rlimit limit;
  prlimit(pid(node), RLIMIT_NOFILE, nullptr, &limit);
  limit.rlim_cur = static_cast<rlim_t>(std::find(used.begin(), used.end(), false) - used.begin());
  prlimit(pid(node), RLIMIT_NOFILE, &limit, nullptr);
}

void ChaosCluster::RestoreFiles(size_t node) {
  if (!running(node)) return;
  rlimit ours, theirs;
  getrlimit(RLIMIT_NOFILE, &ours);
  prlimit(pid(node), RLIMIT_NOFILE, nullptr, &theirs);
  theirs.rlim_cur = std::min(ours.rlim_cur, theirs.rlim_max);
  prlimit(pid(node), RLIMIT_NOFILE, &theirs, nullptr);
}

std::vector<std::string> ChaosCluster::NewTroubles() {
  std::vector<std::string> out;
  for (size_t i = 0; i < size(); ++i) {
    if (auto status = processes_->Ended(i); status && !may_end_[i]) {
      out.push_back(absl::StrCat(name(i), " ", EndOf(*status), " by itself"));
    }
    if (auto said = LogTrouble(i); !said.empty()) out.push_back(std::move(said));
  }
  return out;
}

std::string ChaosCluster::LogTrouble(size_t node) {
  const std::string text = TextFrom(processes_->nodes()[node].log_file, log_seen_[node]);
  // Whole lines only; the rest is looked at the next time.
  const size_t end = text.rfind('\n');
  if (end == text.npos) return "";
  log_seen_[node] += end + 1;
  std::istringstream lines(text.substr(0, end));
  for (std::string line; std::getline(lines, line);) {
    if (IsSanitizerReport(line)) return absl::StrCat(name(node), " says: ", line);
    for (const char* broken : kBroken) {
      if (line.find(broken) == line.npos) continue;
      if (may_end_[node] && line.find("this node has to end") != line.npos) continue;
      return absl::StrCat(name(node), " says: ", line);
    }
  }
  return "";
}

bool ChaosCluster::Ready(size_t node) const {
  const std::string text = TextFrom(processes_->nodes()[node].log_file, log_begin_[node]);
  return text.find(absl::StrCat(" ", name(node), " ready ")) != text.npos;
}

std::string ChaosCluster::ShardTrouble() const {
  if (!watcher_->map()) return "no node has told its map";
  const Coverage cover = Cover(*watcher_->map());
  if (cover.up != size()) return absl::StrCat(cover.up, " of ", size(), " nodes are up");
  if (cover.full()) return "";
  return absl::StrCat(cover.serving, " of ", cover.shards, " shards serve, some with ",
                      cover.fewest_copies, " of ", cover.wanted_copies, " copies");
}

Task<std::string> ChaosCluster::Trouble() {
  for (size_t i = 0; i < size(); ++i) {
    if (!running(i)) co_return absl::StrCat(name(i), " does not run");
    if (!Ready(i)) co_return absl::StrCat(name(i), " is not ready");
  }
  if (auto trouble = ShardTrouble(); !trouble.empty()) co_return trouble;
  for (size_t i = 0; i < size(); ++i) {
    auto asked = watcher_->Status(name(i), kAnswerLimit);
    auto answer = co_await Settled(asked);
    if (!answer.ok()) co_return Words(answer.exception());
    capnp::FlatArrayMessageReader reader(answer.value().words());
    auto status = reader.getRoot<wire::StatusFrame>();
    if (status.getMapVersion() < watcher_->map()->version) {
      co_return absl::StrCat(name(i), " has an older map");
    }
    for (auto member : status.getMembers()) {
      const std::string state = member.getState().cStr();
      const std::string who = member.getName().cStr();
      if (state != "alive" && processes_->IndexOf(who) >= 0) {
        co_return absl::StrCat(name(i), " thinks that ", who, " is ", state);
      }
    }
  }
  co_return std::string();
}

Task<std::string> ChaosCluster::Healthy(absl::Duration limit) {
  const absl::Time deadline = host_.clock().Now() + limit;
  for (;;) {
    auto looked = Trouble();
    std::string trouble = co_await looked;
    if (trouble.empty() || host_.clock().Now() > deadline) co_return trouble;
    auto pause = host_.timer().afterDelay(kLookPause);
    co_await pause;
  }
}

Task<std::vector<std::string>> ChaosCluster::Stop(absl::Duration limit) {
  std::vector<std::string> out;
  for (size_t i = 0; i < size(); ++i) Signal(i, SIGTERM);
  const absl::Time deadline = host_.clock().Now() + limit;
  for (size_t left = size(); left > 0 && host_.clock().Now() < deadline;) {
    auto pause = host_.timer().afterDelay(kLookPause);
    co_await pause;
    left = 0;
    for (size_t i = 0; i < size(); ++i) {
      auto status = processes_->Ended(i);
      if (status && *status != 0) {
        out.push_back(absl::StrCat(name(i), ", told to end, ", EndOf(*status)));
      }
      left += running(i);
    }
  }
  for (size_t i = 0; i < size(); ++i) {
    if (!running(i)) continue;
    out.push_back(absl::StrCat(name(i), " did not end within ", absl::FormatDuration(limit)));
    Kill(i);
  }
  co_return out;
}

size_t ChaosCluster::MemoryOf(size_t node) const {
  if (!running(node)) return 0;
  std::ifstream file(absl::StrCat("/proc/", pid(node), "/statm"));
  size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace troupe::chaos
