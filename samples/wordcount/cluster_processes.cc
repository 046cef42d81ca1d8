#include "cluster_processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

extern char** environ;

namespace {

// Ports that are free now, for TCP and UDP. All are held until all are chosen.
std::vector<int> FreePorts(int count) {
  std::vector<int> ports, sockets;
  while (static_cast<int>(ports.size()) < count) {
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (bind(tcp, raw, size) == 0 && getsockname(tcp, raw, &size) == 0 && bind(udp, raw, size) == 0) {
      ports.push_back(ntohs(address.sin_port));
    }
    sockets.push_back(tcp);
    sockets.push_back(udp);
    if (sockets.size() > 1000) throw std::runtime_error("no free ports on 127.0.0.1");
  }
  for (int fd : sockets) close(fd);
  return ports;
}

}  // namespace

ClusterProcesses::ClusterProcesses(std::string binary, std::string directory, int nodes)
    : binary_(std::move(binary)), directory_(std::move(directory)) {
  const auto ports = FreePorts(nodes);
  for (int i = 0; i < nodes; ++i) {
    const std::string name = std::string("n") + std::to_string(i + 1);
    nodes_.push_back({name, "127.0.0.1:" + std::to_string(ports[static_cast<size_t>(i)]),
                      directory_ + "/" + name + ".log", 0});
  }
}

ClusterProcesses::~ClusterProcesses() {
  if (released_) return;
  for (size_t i = 0; i < nodes_.size(); ++i) Kill(i, SIGKILL);
}

std::vector<std::string> ClusterProcesses::addresses() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) out.push_back(node.address);
  return out;
}

int ClusterProcesses::IndexOf(const std::string& name) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

void ClusterProcesses::StartAll() {
  for (size_t i = 0; i < nodes_.size(); ++i) Start(i);
}

void ClusterProcesses::Start(size_t index) {
  auto& node = nodes_[index];
  std::string seeds;
  for (const auto& other : nodes_) seeds += (seeds.empty() ? "" : ",") + other.address;
  std::vector<std::string> args = {binary_,  "--name",   node.name, "--listen", node.address,
                                   "--join", seeds, "--expect", std::to_string(nodes_.size())};
  std::vector<char*> argv;
  for (auto& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, node.log_file.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  const int failed = posix_spawn(&node.pid, binary_.c_str(), &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) {
    node.pid = 0;
    throw std::runtime_error("cannot start " + binary_);
  }
}

void ClusterProcesses::Kill(size_t index, int signal) {
  auto& node = nodes_[index];
  if (node.pid == 0) return;
  kill(node.pid, signal);
  if (signal != SIGKILL) return;
  waitpid(node.pid, nullptr, 0);
  node.pid = 0;
}

void ClusterProcesses::Stop() {
  for (auto& node : nodes_) {
    if (node.pid != 0) kill(node.pid, SIGTERM);
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    auto& node = nodes_[i];
    for (int tries = 0; node.pid != 0 && tries < 100; ++tries) {
      if (waitpid(node.pid, nullptr, WNOHANG) == node.pid) node.pid = 0;
      if (node.pid != 0) usleep(50'000);
    }
    Kill(i, SIGKILL);
  }
}
