#include "cluster_processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

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
    if (bind(tcp, raw, size) == 0 && getsockname(tcp, raw, &size) == 0 &&
        bind(udp, raw, size) == 0) {
      ports.push_back(ntohs(address.sin_port));
    }
    sockets.push_back(tcp);
    sockets.push_back(udp);
    if (sockets.size() > 1000) throw std::runtime_error("no free ports on 127.0.0.1");
  }
  for (int fd : sockets) close(fd);
  return ports;
}

const std::string& DialedOf(const NodeProcess& node) {
  return node.place.dialed.empty() ? node.address : node.place.dialed;
}

// In the child: only what may be done after the fork of a process with threads.
[[noreturn]] void Become(const NodeProcess& node, const ClusterPlan& plan, char** argv,
                         char** envp) {
  if (plan.orphans == Orphans::kDie) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (node.place.cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(node.place.cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
  }
  const int nothing = open("/dev/null", O_RDONLY);
  const int log = open(node.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(nothing, 0);
  dup2(log, 1);
  dup2(log, 2);
  if (node.place.network_namespace < 0 || setns(node.place.network_namespace, CLONE_NEWNET) == 0) {
    execve(argv[0], argv, envp);
  }
  _exit(127);
}

}  // namespace

ClusterProcesses::ClusterProcesses(ClusterPlan plan) : plan_(std::move(plan)) {
  for (const auto& place : plan_.places) {
    const std::string name = plan_.prefix + std::to_string(nodes_.size() + 1);
    nodes_.push_back({name, place.address, plan_.directory + "/" + name + ".log", place, 0});
  }
}

std::vector<NodePlace> ClusterProcesses::OnLoopback(int count) {
  std::vector<NodePlace> out;
  for (int port : FreePorts(count)) out.push_back({"127.0.0.1:" + std::to_string(port)});
  return out;
}

ClusterProcesses::~ClusterProcesses() {
  if (released_) return;
  for (size_t i = 0; i < nodes_.size(); ++i) Kill(i, SIGKILL);
}

std::vector<std::string> ClusterProcesses::addresses() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) out.push_back(DialedOf(node));
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
  std::vector<std::string> args = {plan_.binary, "--name", node.name, "--listen", node.address};
  if (nodes_.size() > 1) {  // A single node founds its cluster alone.
    std::string seeds;
    for (const auto& other : nodes_) seeds += (seeds.empty() ? "" : ",") + DialedOf(other);
    args.insert(args.end(), {"--join", seeds, "--expect", std::to_string(nodes_.size())});
  }
  if (!node.place.dialed.empty()) args.insert(args.end(), {"--advertise", node.place.dialed});
  args.insert(args.end(), plan_.arguments.begin(), plan_.arguments.end());
  args.insert(args.end(), node.place.arguments.begin(), node.place.arguments.end());
  std::vector<char*> argv, envp;
  for (auto& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
  for (auto& entry : node.place.environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  if (access(plan_.binary.c_str(), X_OK) != 0) {
    throw std::runtime_error("there is no program " + plan_.binary);
  }
  // As fork(), but waits until the child is the program: until then who looks at its memory would
  // see ours. A child in a pid namespace of its own is no process that its peers could watch.
  const unsigned long flags =
      SIGCHLD | CLONE_VFORK | (node.place.network_namespace >= 0 ? CLONE_NEWPID : 0);
  const auto pid = static_cast<pid_t>(syscall(SYS_clone, flags, 0, 0, 0, 0));
  if (pid < 0) throw std::runtime_error("cannot start " + plan_.binary + ": " + strerror(errno));
  if (pid == 0) Become(node, plan_, argv.data(), envp.data());
  node.pid = pid;
}

void ClusterProcesses::Kill(size_t index, int signal) {
  auto& node = nodes_[index];
  if (node.pid == 0) return;
  kill(node.pid, signal);
  if (signal != SIGKILL) return;
  waitpid(node.pid, nullptr, 0);
  node.pid = 0;
}

std::optional<int> ClusterProcesses::Ended(size_t index) {
  auto& node = nodes_[index];
  int status = 0;
  if (node.pid == 0 || waitpid(node.pid, &status, WNOHANG) != node.pid) return std::nullopt;
  node.pid = 0;
  return status;
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
