#include "faults.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "silent_connections.h"

namespace troupe::chaos {
namespace {

constexpr double kBeside = 0.35;  // Chance of a mild fault beside another.
constexpr double kMild = 0.25;    // Its strength.

absl::Duration Milliseconds(double ms) {
  return absl::Microseconds(static_cast<int64_t>(ms * 1e3));
}

const FaultKind* Find(const std::string& name) {
  for (const auto& kind : FaultKinds()) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

// Processes that compute for nothing; they end with this object, and with us.
class Hogs {
 public:
  explicit Hogs(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const pid_t parent = getpid();
      const pid_t pid = fork();
      if (pid > 0) pids_.push_back(pid);
      if (pid != 0) continue;
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (getppid() == parent) {
        for (int turn = 0; turn < 1'000'000; ++turn) asm volatile("");
      }
      _exit(0);
    }
  }
  ~Hogs() {
    for (pid_t pid : pids_) kill(pid, SIGKILL);
    for (pid_t pid : pids_) waitpid(pid, nullptr, 0);
  }
  Hogs(const Hogs&) = delete;
  Hogs& operator=(const Hogs&) = delete;

 private:
  std::vector<pid_t> pids_;
};

}  // namespace

const std::vector<FaultKind>& FaultKinds() {
  static const std::vector<FaultKind> kinds = {
      {"kill", Harm::kNode, "SIGKILL, and started again at once or up to 4 s later"},
      {"wipe", Harm::kNode, "the same, with an empty data directory"},
      {"stop-short", Harm::kNode, "SIGSTOP for 0.1 to 0.5 s, shorter than suspicion"},
      {"stop-long", Harm::kNode, "SIGSTOP for 3 to 6 s, longer than suspicion"},
      {"delay", Harm::kNetwork, "5 to 100 ms on every link, and jitter"},
      {"loss", Harm::kNetwork, "5 to 30 % of all frames"},
      {"reorder", Harm::kNetwork, "10 to 40 % of all frames come up to 30 ms late, some twice"},
      {"partition", Harm::kNetwork, "a minority of the nodes on one side"},
      {"one-way", Harm::kNetwork, "nothing passes from some nodes to the others, or to them"},
      {"cut-clients", Harm::kNetwork, "the clients do not reach some nodes, or not hear them"},
      {"disk-full", Harm::kNode, "not a byte fits into a node's data directory"},
      {"disk-slow", Harm::kNode, "each flush of a node's disk takes 0.1 to 2 s longer"},
      {"fds", Harm::kNode, "a node cannot open a file or a connection, and 200 are asked of it"},
      {"cpu", Harm::kMachine, "other processes compute on every processor, four each"},
  };
  return kinds;
}

absl::StatusOr<std::vector<std::string>> FaultDeck::Kinds(const std::vector<std::string>& wanted) {
  std::vector<std::string> out = wanted;
  for (const auto& name : wanted) {
    if (Find(name) != nullptr) continue;
    std::string known;
    for (const auto& kind : FaultKinds()) {
      absl::StrAppend(&known, known.empty() ? "" : ", ", kind.name);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("expected one of ", known, ", got \"", name, "\""));
  }
  if (out.empty()) {
    for (const auto& kind : FaultKinds()) out.emplace_back(kind.name);
  }
  return out;
}

FaultDeck::FaultDeck(ChaosCluster& cluster, std::vector<std::string> kinds, size_t at_once,
                     size_t spared, Random random)
    : cluster_(cluster),
      kinds_(std::move(kinds)),
      at_once_(at_once),
      spared_(spared),
      random_(random) {}

bool FaultDeck::Has(const char* kind) const {
  return std::find(kinds_.begin(), kinds_.end(), kind) != kinds_.end();
}

std::string FaultDeck::Draw() {
  if (deck_.empty()) {
    deck_ = kinds_;
    random_.Shuffle(deck_);
  }
  std::string out = deck_.back();
  deck_.pop_back();
  return out;
}

std::vector<Fault> FaultDeck::Next() {
  Nodes nodes = ShuffledNodes();
  std::erase_if(nodes, [this](size_t node) { return node < spared_; });
  const std::string first = Draw();
  const Harm harm = Find(first)->harm;
  std::vector<Fault> out;
  out.push_back(Make(first, nodes[0]));
  for (size_t i = 1; harm == Harm::kNode && i < std::min(at_once_, nodes.size()); ++i) {
    std::string other = Draw();
    if (Find(other)->harm == Harm::kNode) out.push_back(Make(other, nodes[i]));
  }
  if (harm == Harm::kNode && random_.Chance(kBeside)) {
    std::vector<std::string> mild;
    for (const char* kind : {"delay", "loss", "reorder"}) {
      if (Has(kind)) mild.emplace_back(kind);
    }
    if (!mild.empty()) out.push_back(Weather(mild[random_.Below(mild.size())], kMild));
  }
  return out;
}

Fault FaultDeck::Make(const std::string& kind, size_t node) {
  Fault out;
  if (kind == "kill" || kind == "wipe") out = KillOf(node, kind == "wipe");
  if (kind == "stop-short" || kind == "stop-long") out = StopOf(node, kind == "stop-long");
  if (kind == "disk-full") out = FullDisk(node);
  if (kind == "disk-slow") out = SlowDisk(node);
  if (kind == "fds") out = NoFiles(node);
  if (kind == "cpu") out = BusyProcessors();
  if (kind == "partition") out = Partition();
  if (kind == "one-way") out = OneWay();
  if (kind == "cut-clients") out = ClientsCutOff();
  if (kind == "delay" || kind == "loss" || kind == "reorder") out = Weather(kind, 1);
  out.kind = kind;
  return out;
}

// ---- Nodes

Fault FaultDeck::KillOf(size_t node, bool wipe) {
  // One in four is back before anybody can have noticed.
  const auto length = random_.Chance(0.25) ? absl::ZeroDuration() : Between(0.5, 4);
  return {"", cluster_.name(node), length, [this, node] { cluster_.Kill(node); },
          [this, node, wipe] {
            if (wipe) cluster_.ground().WipeDisk(node);
            cluster_.Start(node);
          }};
}

Fault FaultDeck::StopOf(size_t node, bool beyond_suspicion) {
  return {"", cluster_.name(node), beyond_suspicion ? Between(3, 6) : Between(0.1, 0.5),
          [this, node] { cluster_.Signal(node, SIGSTOP); },
          [this, node] { cluster_.Signal(node, SIGCONT); }};
}

// In half of the cases the node is also killed and has to start on a full disk, which it may
// refuse.
Fault FaultDeck::FullDisk(size_t node) {
  const bool restart = random_.Chance(0.5);
  return {"",
          absl::StrCat(cluster_.name(node), restart ? ", which is killed and started on it" : ""),
          Between(2, 4),
          [this, node, restart] {
            cluster_.ground().FillDisk(node);
            cluster_.AllowEnd(node, true);
            if (!restart) return;
            cluster_.Kill(node);
            cluster_.Start(node);
          },
          [this, node] {
            cluster_.ground().FreeDisk(node);
            cluster_.NewTroubles();  // Notes that it has ended, if it has.
            cluster_.AllowEnd(node, false);
            if (!cluster_.running(node)) cluster_.Start(node);
          }};
}

Fault FaultDeck::SlowDisk(size_t node) {
  const auto ms = static_cast<uint32_t>(100 + random_.Below(1900));
  return {"", absl::StrCat(cluster_.name(node), ", ", ms, " ms a flush"), Between(2, 5),
          [this, node, ms] { cluster_.ground().disk_delay(node).Set(ms); },
          [this, node] { cluster_.ground().disk_delay(node).Set(0); }};
}

Fault FaultDeck::NoFiles(size_t node) {
  auto connections = std::make_shared<SilentConnections>();
  const std::string address = cluster_.addresses()[node];
  return {"", cluster_.name(node), Between(2, 4),
          [this, node, connections, address] {
            cluster_.ExhaustFiles(node);
            connections->Dial(address, 200);
          },
          [this, node, connections] {
            cluster_.RestoreFiles(node);
            connections->CloseAll();
          }};
}

Fault FaultDeck::BusyProcessors() {
  auto hogs = std::make_shared<std::unique_ptr<Hogs>>();
  const size_t count = 4 * std::max(1u, std::thread::hardware_concurrency());
  return {"", absl::StrCat(count, " processes"), Between(1.5, 4),
          [hogs, count] { *hogs = std::make_unique<Hogs>(count); }, [hogs] { *hogs = nullptr; }};
}

// ---- The network

Fault FaultDeck::Weather(const std::string& kind, double strength) {
  LinkRule rule;
  Fault out;
  out.kind = kind;
  if (kind == "delay") {
    rule.delay = Milliseconds(5 + strength * random_.Unit() * 95);
    rule.jitter = rule.delay * random_.Unit();
    out.what = absl::StrFormat("%.0f to %.0f ms", absl::ToDoubleMilliseconds(rule.delay),
                               absl::ToDoubleMilliseconds(rule.delay + rule.jitter));
  } else if (kind == "loss") {
    rule.loss = 0.02 + strength * (0.03 + random_.Unit() * 0.25);
    out.what = absl::StrFormat("%.0f %%", rule.loss * 100);
  } else {
    rule.reorder = 0.1 + strength * random_.Unit() * 0.3;
    rule.late = Milliseconds(1 + random_.Unit() * 29);
    rule.duplicate = 0.05;
    out.what = absl::StrFormat("%.0f %% come %.0f ms late", rule.reorder * 100,
                               absl::ToDoubleMilliseconds(rule.late));
  }
  absl::StrAppend(&out.what, " on every link");
  out.length = Between(2, 6);
  out.begin = [this, rule] { cluster_.ground().rules().SetAll(rule); };
  out.end = [this] { cluster_.ground().rules().SetAll({}); };
  return out;
}

Fault FaultDeck::Partition() {
  Nodes nodes = ShuffledNodes();
  const size_t minority = 1 + random_.Below((nodes.size() - 1) / 2);
  Nodes few(nodes.begin(), nodes.begin() + static_cast<ptrdiff_t>(minority));
  Nodes many(nodes.begin() + static_cast<ptrdiff_t>(minority), nodes.end());
  (random_.Chance(0.25) ? few : many).push_back(clients());
  return {"", absl::StrCat(Names(few), " | ", Names(many)), Between(1, 6),
          [this, few, many] {
            CutBetween(few, many);
            CutBetween(many, few);
          },
          [this] { cluster_.ground().rules().SetAll({}); }};
}

Fault FaultDeck::OneWay() {
  Nodes nodes = ShuffledNodes();
  const size_t minority = 1 + random_.Below((nodes.size() - 1) / 2);
  Nodes from(nodes.begin(), nodes.begin() + static_cast<ptrdiff_t>(minority));
  Nodes to(nodes.begin() + static_cast<ptrdiff_t>(minority), nodes.end());
  if (random_.Chance(0.5)) std::swap(from, to);
  return {"", absl::StrCat("nothing passes from ", Names(from), " to ", Names(to)), Between(1, 6),
          [this, from, to] { CutBetween(from, to); },
          [this] { cluster_.ground().rules().SetAll({}); }};
}

Fault FaultDeck::ClientsCutOff() {
  Nodes nodes = ShuffledNodes();
  nodes.resize(1 + random_.Below(nodes.size() - 1));
  const uint64_t die = random_.Below(3);
  const char* how = die == 0 ? "do not reach " : die == 1 ? "do not hear " : "are cut off from ";
  return {"", absl::StrCat("the clients ", how, Names(nodes)), Between(1, 6),
          [this, nodes, die] {
            if (die != 1) CutBetween({clients()}, nodes);
            if (die != 0) CutBetween(nodes, {clients()});
          },
          [this] { cluster_.ground().rules().SetAll({}); }};
}

void FaultDeck::CutBetween(const Nodes& from, const Nodes& to) {
  LinkRule cut;
  cut.cut = true;
  for (size_t a : from) {
    for (size_t b : to) cluster_.ground().rules().SetRule(a, b, cut);
  }
}

absl::Duration FaultDeck::Between(double least_seconds, double most_seconds) {
  return Milliseconds(1000 * (least_seconds + random_.Unit() * (most_seconds - least_seconds)));
}

FaultDeck::Nodes FaultDeck::ShuffledNodes() {
  Nodes out(cluster_.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = i;
  random_.Shuffle(out);
  return out;
}

std::string FaultDeck::Names(const Nodes& hosts) const {
  std::string out;
  for (size_t host : hosts) {
    absl::StrAppend(&out, out.empty() ? "" : " ",
                    host == cluster_.size() ? "clients" : cluster_.name(host));
  }
  return out;
}

}  // namespace troupe::chaos
