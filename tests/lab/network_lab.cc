#include "network_lab.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace {

constexpr char kOwn[] = "/proc/thread-self/ns/net";

// A new network namespace, as a descriptor; the thread stays where it is.
absl::StatusOr<int> NewNamespace() {
  const int before = open(kOwn, O_RDONLY | O_CLOEXEC);
  if (unshare(CLONE_NEWNET) != 0) {
    close(before);
    return absl::PermissionDeniedError(
        absl::StrCat("cannot make a network namespace: ", std::strerror(errno)));
  }
  const int made = open(kOwn, O_RDONLY | O_CLOEXEC);
  const bool back = setns(before, CLONE_NEWNET) == 0;
  close(before);
  if (!back) return absl::PermissionDeniedError("cannot come back from a network namespace");
  return made;
}

// Runs `ip` with these arguments within a namespace.
absl::Status Ip(int descriptor, const std::string& arguments) {
  const InNamespace inside(descriptor);
  const std::string command = absl::StrCat("ip ", arguments, " 2>&1");
  FILE* pipe = popen(command.c_str(), "re");
  if (pipe == nullptr) return absl::UnavailableError("cannot run ip");
  std::string said;
  for (int c; (c = fgetc(pipe)) != EOF;) said += static_cast<char>(c);
  if (pclose(pipe) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("ip ", arguments, ": ", said));
}

// The device eth0 of a namespace, whose frames come and go by the descriptor.
absl::StatusOr<int> NewTap(int host) {
  const InNamespace inside(host);
  const int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (tap < 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot open /dev/net/tun: ", std::strerror(errno)));
  }
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(request.ifr_name, "eth0");
  if (ioctl(tap, TUNSETIFF, &request) == 0) return tap;
  const int error = errno;
  close(tap);
  return absl::PermissionDeniedError(
      absl::StrCat("cannot make a TAP device: ", std::strerror(error)));
}

std::string MacOf(int host) { return absl::StrFormat("02:00:00:00:00:%02x", host + 1); }

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkLab>> NetworkLab::Make(int hosts, Joint joint) {
  std::unique_ptr<NetworkLab> lab(new NetworkLab);
  auto built = joint == Joint::kBridge ? lab->BuildBridge(hosts) : lab->BuildTaps(hosts);
  if (!built.ok()) return built;
  return lab;
}

NetworkLab::~NetworkLab() {
  for (int tap : taps_) close(tap);
  for (int host : hosts_) close(host);
  if (switch_ >= 0) close(switch_);
}

std::string NetworkLab::AddressOf(size_t host) { return absl::StrCat("10.77.0.", host + 1); }

absl::Status NetworkLab::BuildBridge(int hosts) {
  auto made = NewNamespace();
  if (!made.ok()) return made.status();
  switch_ = *made;
  std::vector<std::pair<int, std::string>> steps = {{switch_, "link add br0 type bridge"},
                                                    {switch_, "link set br0 up"}};
  for (int i = 0; i < hosts; ++i) {
    auto host = NewNamespace();
    if (!host.ok()) return host.status();
    hosts_.push_back(*host);
    const std::string port = absl::StrCat("p", i);
    const std::string place = absl::StrCat("/proc/", getpid(), "/fd/", *host);
    steps.emplace_back(switch_,
                       absl::StrCat("link add ", port, " type veth peer name eth0 netns ", place));
    steps.emplace_back(switch_, absl::StrCat("link set ", port, " master br0 up"));
    steps.emplace_back(
        *host, absl::StrCat("addr add ", AddressOf(static_cast<size_t>(i)), "/24 dev eth0"));
    steps.emplace_back(*host, "link set eth0 up");
    steps.emplace_back(*host, "link set lo up");
  }
  for (const auto& [place, arguments] : steps) {
    if (auto done = Ip(place, arguments); !done.ok()) return done;
  }
  return absl::OkStatus();
}

// Who has which Ethernet address is told beforehand, so that a lossy network loses no questions
// about it, which a kernel asks only once a second.
absl::Status NetworkLab::BuildTaps(int hosts) {
  for (int i = 0; i < hosts; ++i) {
    auto host = NewNamespace();
    if (!host.ok()) return host.status();
    hosts_.push_back(*host);
    auto tap = NewTap(*host);
    if (!tap.ok()) return tap.status();
    taps_.push_back(*tap);
    std::vector<std::string> steps = {
        absl::StrCat("link set eth0 address ", MacOf(i)),
        absl::StrCat("addr add ", AddressOf(static_cast<size_t>(i)), "/24 dev eth0"),
        "link set eth0 up", "link set lo up"};
    for (int other = 0; other < hosts; ++other) {
      if (other == i) continue;
      steps.push_back(absl::StrCat("neigh add ", AddressOf(static_cast<size_t>(other)), " lladdr ",
                                   MacOf(other), " nud permanent dev eth0"));
    }
    for (const auto& step : steps) {
      if (auto done = Ip(*host, step); !done.ok()) return done;
    }
  }
  return absl::OkStatus();
}

InNamespace::InNamespace(int descriptor) : before_(open(kOwn, O_RDONLY | O_CLOEXEC)) {
  if (setns(descriptor, CLONE_NEWNET) != 0) {
    throw std::runtime_error(absl::StrCat("cannot enter a namespace: ", std::strerror(errno)));
  }
}

InNamespace::~InNamespace() {
  setns(before_, CLONE_NEWNET);
  close(before_);
}
