// ClusterProcesses: real node processes on loopback, started, killed and started again.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

// One node of the demo: a copy of the node binary.
struct NodeProcess {
  std::string name;
  std::string address;  // 127.0.0.1:port
  std::string log_file;
  pid_t pid = 0;  // 0: not running.
};

class ClusterProcesses {
 public:
  // `binary` is run with the settings of troupe::Main. Logs go to `directory`.
  ClusterProcesses(std::string binary, std::string directory, int nodes);
  ~ClusterProcesses();  // Kills what still runs, unless released.
  ClusterProcesses(const ClusterProcesses&) = delete;
  ClusterProcesses& operator=(const ClusterProcesses&) = delete;

  void StartAll();
  void Start(size_t index);
  void Kill(size_t index, int signal);  // SIGKILL is waited for.
  void Stop();                          // SIGTERM to all, then waits.
  void Release() { released_ = true; }

  const std::vector<NodeProcess>& nodes() const { return nodes_; }
  std::vector<std::string> addresses() const;
  int IndexOf(const std::string& name) const;  // -1 if there is none.

 private:
  std::string binary_;
  std::string directory_;
  std::vector<NodeProcess> nodes_;
  bool released_ = false;
};
