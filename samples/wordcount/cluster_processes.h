// ClusterProcesses: real node processes, started, killed and started again.
//
// On free ports of 127.0.0.1, or each at an address in a network namespace of its own. The thread
// that starts them is to live as long as they do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

// Where a node is to run.
struct NodePlace {
  std::string address = {};    // host:port.
  std::string dialed = {};     // What others dial, if it is another.
  int network_namespace = -1;  // Descriptor to enter; with it the node also gets a pid namespace of
                               // its own, as if it were on another computer. -1: ours.
  int cpu = -1;                // To run on; -1: anywhere.
  std::vector<std::string> arguments = {};    // Of this node alone, after those of all.
  std::vector<std::string> environment = {};  // "NAME=value", beside ours.
};

// One node: a copy of the node binary.
struct NodeProcess {
  std::string name;
  std::string address;
  std::string log_file;
  NodePlace place;
  pid_t pid = 0;  // 0: not running.
};

enum class Orphans { kDie, kLive };  // What becomes of the nodes when this process is gone.

struct ClusterPlan {
  std::string binary;     // Is run with the settings of troupe::Main.
  std::string directory;  // For the logs.
  std::vector<NodePlace> places;
  std::vector<std::string> arguments = {};  // Beside name, addresses and the number of nodes.
  Orphans orphans = Orphans::kDie;
  std::string prefix = "n";  // Of the nodes' names, before their number.
};

class ClusterProcesses {
 public:
  explicit ClusterProcesses(ClusterPlan plan);
  ~ClusterProcesses();  // Kills what still runs, unless released.
  ClusterProcesses(const ClusterProcesses&) = delete;
  ClusterProcesses& operator=(const ClusterProcesses&) = delete;

  // `count` free ports of 127.0.0.1.
  static std::vector<NodePlace> OnLoopback(int count);

  void StartAll();
  void Start(size_t index);             // Throws std::runtime_error when that is not possible.
  void Kill(size_t index, int signal);  // SIGKILL is waited for.
  void Stop();                          // SIGTERM to all, then waits.
  // As waitpid() has it, once, of a node that ended though nobody killed it; else nothing.
  std::optional<int> Ended(size_t index);
  void Release() { released_ = true; }

  const std::vector<NodeProcess>& nodes() const { return nodes_; }
  std::vector<std::string> addresses() const;  // To dial.
  int IndexOf(const std::string& name) const;  // -1 if there is none.

 private:
  const ClusterPlan plan_;
  std::vector<NodeProcess> nodes_;
  bool released_ = false;
};
