// ServerProcess: a peer's echo server as a child process; ends with this object, and with us.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

class ServerProcess {
 public:
  // Runs `binary kind`, pinned to `cpu` (-1: anywhere), and waits for it to print its port on
  // 127.0.0.1. Throws std::runtime_error.
  ServerProcess(const std::string& binary, const std::string& kind, int cpu);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const { return port_; }

 private:
  pid_t pid_ = 0;
  int port_ = 0;
};

// The calling thread, and what it starts from now on, on one processor; -1: leaves it be.
void PinTo(int cpu);
// The processors that the calling thread may use.
std::vector<int> Processors();

// The calling thread is on one processor while this lives.
class Pinned {
 public:
  explicit Pinned(int cpu);  // -1: stays where it is.
  ~Pinned();
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  const std::vector<int> before_;
};
