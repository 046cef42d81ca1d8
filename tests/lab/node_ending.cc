#include "node_ending.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLimit = std::chrono::seconds(40);
constexpr useconds_t kLookPause = 20'000;

constexpr const char* kReports[] = {"AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
                                    "runtime error:", "Assertion '"};

// An empty text when it ended with exit code 0.
std::string EndOf(ClusterProcesses& cluster, size_t index, Clock::time_point deadline) {
  const std::string name = cluster.nodes()[index].name;
  while (cluster.nodes()[index].pid != 0) {
    if (Clock::now() > deadline) return name + " does not end";
    if (auto status = cluster.Ended(index)) {
      if (*status == 0) return "";
      return WIFSIGNALED(*status)
                 ? name + " ended by signal " + std::to_string(WTERMSIG(*status))
                 : name + " ended with exit code " + std::to_string(WEXITSTATUS(*status));
    }
    usleep(kLookPause);
  }
  return "";
}

}  // namespace

bool IsSanitizerReport(const std::string& line) {
  for (const char* report : kReports) {
    if (line.find(report) != line.npos) return true;
  }
  return false;
}

std::vector<std::string> EndNodes(ClusterProcesses& cluster) {
  const auto deadline = Clock::now() + kLimit;
  for (size_t i = 0; i < cluster.nodes().size(); ++i) cluster.Kill(i, SIGTERM);
  std::vector<std::string> out;
  for (size_t i = 0; i < cluster.nodes().size(); ++i) {
    if (auto trouble = EndOf(cluster, i, deadline); !trouble.empty()) out.push_back(trouble);
  }
  for (const auto& node : cluster.nodes()) {
    std::ifstream log(node.log_file);
    for (std::string line; std::getline(log, line);) {
      if (IsSanitizerReport(line)) out.push_back(node.name + " says: " + line);
    }
  }
  return out;
}
