// demo: counts the words of real text on three node processes while it kills them.
//
// One actor per distinct word, one call per occurrence. At the end every count is compared with
// what tr, sort and uniq of coreutils say: nothing answered is lost, nothing is done twice.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kill_run.h"
#include "text.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"
#include "troupe/runtime/uv_machine.h"

namespace {

constexpr size_t kInFlight = 256;

constexpr char kUsage[] =
    "usage: demo [--kills N] [--nodes N] [--seed N] [--json] [--keep] [FILE...]\n"
    "Counts the words of the files (default: /usr/share/common-licenses) on a cluster of real\n"
    "processes on loopback, kills nodes meanwhile, and compares with coreutils.\n"
    "  --kills N   nodes to kill with SIGKILL, one after the other (default 2)\n"
    "  --nodes N   processes of the cluster (default 3)\n"
    "  --seed N    chooses whom to kill, and when (default: from the clock)\n"
    "  --json      one JSON object as the last line\n"
    "  --keep      leave the cluster running at the end, and say how to talk to it\n";

struct Options {
  int kills = 2;
  int nodes = 3;
  uint64_t seed = static_cast<uint64_t>(time(nullptr));
  bool json = false;
  bool keep = false;
  std::vector<std::string> files;
};

[[noreturn]] void Die(const std::string& message, int code) {
  std::fprintf(stderr, "demo: %s\n", message.c_str());
  std::exit(code);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    std::optional<std::string> attached;
    if (auto equals = arg.find('='); arg.rfind("--", 0) == 0 && equals != std::string::npos) {
      attached = arg.substr(equals + 1);
      arg.resize(equals);
    }
    auto number = [&](uint64_t least) {
      std::string text;
      if (attached) {
        text = *attached;
      } else if (i + 1 < argc) {
        text = argv[++i];
      }
      uint64_t value = 0;
      if (!absl::SimpleAtoi(text, &value) || value < least) {
        Die(absl::StrCat(arg, " wants a whole number from ", least, ", not \"", text, "\""), 2);
      }
      return value;
    };
    if (arg == "--kills") {
      options.kills = static_cast<int>(number(0));
    } else if (arg == "--nodes") {
      options.nodes = static_cast<int>(number(1));
    } else if (arg == "--seed") {
      options.seed = number(0);
    } else if (arg == "--json") {
      options.json = true;
    } else if (arg == "--keep") {
      options.keep = true;
    } else if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    } else if (arg.rfind("-", 0) == 0) {
      Die(absl::StrCat("unknown option ", arg, "\n", kUsage), 2);
    } else {
      options.files.push_back(arg);
    }
  }
  if (options.files.empty()) options.files = FilesIn("/usr/share/common-licenses");
  if (options.kills > 0 && options.nodes < 3) {
    Die("a cluster that is to survive a kill needs at least 3 nodes", 2);
  }
  return options;
}

// One line about the present, rewritten in place on a terminal.
class Display {
 public:
  Display(troupe::Host& host, const Load& load, const troupe::Client& client)
      : host_(host), load_(load), client_(client), started_(host.clock().Now()), shown_(started_) {}

  void Say(const std::string& text) {
    Clear();
    std::printf("%8.2f  %s\n", absl::ToDoubleSeconds(host_.clock().Now() - started_), text.c_str());
    std::fflush(stdout);
  }

  void Show() {
    const absl::Time now = host_.clock().Now();
    if (!terminal_ && now - shown_ < absl::Seconds(1)) return;
    const double seconds = absl::ToDoubleSeconds(now - shown_);
    const double rate = static_cast<double>(load_.answered() - shown_answered_) / seconds;
    shown_ = now;
    shown_answered_ = load_.answered();
    const std::string line =
        absl::StrFormat("pass %d %3.0f%%  %d answered  %.0f calls/s  %s", load_.passes() + 1,
                        load_.progress() * 100, load_.answered(), rate, Members());
    if (!terminal_) return Say(line);
    Clear();
    std::printf("          %s", line.c_str());
    std::fflush(stdout);
    dirty_ = true;
  }

  absl::Duration interval() const {
    return terminal_ ? absl::Milliseconds(200) : absl::Milliseconds(1000);
  }

 private:
  std::string Members() const {
    if (!client_.map()) return "no map yet";
    const auto cover = Cover(*client_.map());
    std::vector<std::string> parts;
    for (const auto& node : client_.map()->nodes) {
      static constexpr const char* kStates[] = {"up", "draining", "fenced", "left"};
      parts.push_back(
          absl::StrCat(node.name, " ", kStates[static_cast<int>(node.state)], " ",
                       cover.primaries.count(node.name) ? cover.primaries.at(node.name) : 0));
    }
    return absl::StrCat("[", absl::StrJoin(parts, ", "), " shards; copies ", cover.fewest_copies,
                        "/", client_.map()->config.replicas, "]");
  }
  void Clear() {
    if (dirty_) std::printf("\r\033[K");
    dirty_ = false;
  }

  troupe::Host& host_;
  const Load& load_;
  const troupe::Client& client_;
  const bool terminal_ = isatty(1) == 1;
  absl::Time started_;
  absl::Time shown_;
  uint64_t shown_answered_ = 0;
  bool dirty_ = false;
};

class Demo {
 public:
  Demo(troupe::UvMachine& machine, Options options, std::vector<std::string> words,
       std::string binary, std::string directory)
      : machine_(machine),
        host_(machine.control()),
        options_(std::move(options)),
        words_(std::move(words)),
        random_(options_.seed),
        cluster_({.binary = std::move(binary),
                  .directory = std::move(directory),
                  .places = ClusterProcesses::OnLoopback(options_.nodes),
                  .orphans = options_.keep ? Orphans::kLive : Orphans::kDie}),
        run_(host_, cluster_, words_, kInFlight,
             [this](const std::string& text) { display_->Say(text); }) {}

  int Run() {
    auto& scope = machine_.wait_scope();
    run_.Found().Wait(scope);
    load_ = &run_.load();
    display_.emplace(host_, *load_, run_.client());
    display_->Say(absl::StrFormat("%d nodes up, %d words in the text, seed %d", options_.nodes,
                                  words_.size(), options_.seed));
    began_ = host_.clock().Now();
    load_->Start();
    auto shown = ShowLoop().AsPromise().eagerlyEvaluate(nullptr);
    KillAll().Wait(scope);
    run_.Sleep(absl::Seconds(1)).Wait(scope);
    load_->StopAfterPass();
    load_->Done().wait(scope);
    seconds_ = absl::ToDoubleSeconds(host_.clock().Now() - began_);
    shown = nullptr;
    return Verify();
  }

 private:
  troupe::Task<void> ShowLoop() {
    for (;;) {
      display_->Show();
      auto slept = run_.Sleep(display_->interval());
      co_await slept;
    }
  }

  troupe::Task<void> KillAll() {
    for (int i = 0; i < options_.kills; ++i) {
      auto calm = run_.Sleep(absl::Milliseconds(1500 + static_cast<int64_t>(random_.Below(1000))));
      co_await calm;
      auto killed = run_.Kill(random_.Below(cluster_.nodes().size()));
      kills_.push_back(co_await killed);
    }
  }

  int Verify() {
    display_->Say("reading every count back");
    auto expected = CountByCoreutils(options_.files);
    if (!expected.ok()) Die(std::string(expected.status().message()), 1);
    for (auto& [word, count] : *expected) count *= load_->passes();
    const size_t distinct = expected->size();
    const auto tally = run_.Compare(std::move(*expected)).Wait(machine_.wait_scope());
    Report(distinct, tally.lost, tally.doubled);
    if (options_.keep) {
      cluster_.Release();
    } else {
      cluster_.Stop();
    }
    return tally.lost == 0 && tally.doubled == 0 && load_->errors() == 0 ? 0 : 1;
  }

  void Report(size_t distinct, uint64_t lost, uint64_t doubled) {
    const double rate = static_cast<double>(load_->answered()) / seconds_;
    std::printf("\n%d calls answered in %.1f s (%.0f/s), %zu distinct words, %d pass%s\n",
                static_cast<int>(load_->answered()), seconds_, rate, distinct,
                static_cast<int>(load_->passes()), load_->passes() == 1 ? "" : "es");
    for (const auto& kill : kills_) {
      std::printf("killed %s%s: longest gap %.1f ms\n", kill.node.c_str(),
                  kill.coordinator ? " (coordinator)" : "", kill.gap_ms);
    }
    if (load_->errors() > 0) {
      std::printf("failed calls: %d, the last: %s\n", static_cast<int>(load_->errors()),
                  load_->last_error().c_str());
    }
    std::printf("against tr, sort and uniq -c: lost %d, doubled %d\n", static_cast<int>(lost),
                static_cast<int>(doubled));
    if (options_.keep) {
      std::printf("the cluster keeps running; see it with: troupe status --nodes %s\n",
                  absl::StrJoin(cluster_.addresses(), ",").c_str());
    }
    if (!options_.json) return;
    std::vector<std::string> kills;
    for (const auto& kill : kills_) {
      kills.push_back(absl::StrFormat("{\"node\":\"%s\",\"gap_ms\":%.2f}", kill.node, kill.gap_ms));
    }
    std::printf(
        "{\"answered\":%llu,\"distinct\":%zu,\"lost\":%llu,\"doubled\":%llu,\"kills\":[%s],"
        "\"seconds\":%.2f,\"calls_per_second\":%.0f}\n",
        static_cast<unsigned long long>(load_->answered()), distinct,
        static_cast<unsigned long long>(lost), static_cast<unsigned long long>(doubled),
        absl::StrJoin(kills, ",").c_str(), seconds_, rate);
  }

  troupe::UvMachine& machine_;
  troupe::Host& host_;
  const Options options_;
  const std::vector<std::string> words_;
  troupe::Random random_;
  ClusterProcesses cluster_;
  KillRun run_;
  Load* load_ = nullptr;  // Of run_, once there is one.
  std::optional<Display> display_;
  std::vector<KillReport> kills_;
  absl::Time began_;
  double seconds_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = Parse(argc, argv);
  auto words = ReadWords(options.files);
  if (!words.ok()) Die(std::string(words.status().message()), 2);
  if (words->empty()) Die("there are no words in the files given", 2);
  const auto binary =
      std::filesystem::canonical("/proc/self/exe").parent_path() / "troupe-wordcount";
  char directory[] = "/tmp/troupe-demo-XXXXXX";
  if (mkdtemp(directory) == nullptr) Die("cannot make a directory in /tmp for the logs", 1);
  troupe::SetStandardErrorLogLevel(troupe::LogLevel::kError);
  auto machine = troupe::UvMachine::Create({.node = "demo"});
  if (!machine.ok()) Die(std::string(machine.status().message()), 1);
  try {
    Demo demo(**machine, options, std::move(*words), binary.string(), directory);
    const int code = demo.Run();
    if (code == 0 && !options.keep) std::filesystem::remove_all(directory);
    return code;
  } catch (kj::Exception& e) {
    Die(absl::StrCat(troupe::Words(e), "; the logs of the nodes are in ", directory), 1);
  } catch (std::exception& e) {
    Die(absl::StrCat(e.what(), "; the logs of the nodes are in ", directory), 1);
  }
}
