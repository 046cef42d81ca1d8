#include "ground.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "loopback_proxy.h"

namespace troupe::chaos {
namespace {

namespace fs = std::filesystem;

constexpr int kPort = 7100;              // In a namespace of its own nobody else has it.
constexpr char kDiskSize[] = "size=1m";  // What a node keeps is some tens of kB.
constexpr char kFiller[] = "/filler";    // A file that takes what is free.

void Put(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  [[maybe_unused]] auto written = write(fd, text.data(), text.size());
  close(fd);
}

// A mount namespace of our own, so that what is mounted ends with us. Who is not root becomes root
// of a user namespace, where the system allows it. Empty, or why not.
std::string BecomePrivate() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  // Who is not root can only come back to a network namespace that is his own, too.
  if (unshare(CLONE_NEWNS | (user == 0 ? 0 : CLONE_NEWUSER | CLONE_NEWNET)) != 0) {
    return absl::StrCat("cannot make a mount namespace: ", std::strerror(errno));
  }
  if (user != 0) {
    Put("/proc/self/setgroups", "deny");
    Put("/proc/self/uid_map", absl::StrCat("0 ", user, " 1"));
    Put("/proc/self/gid_map", absl::StrCat("0 ", group, " 1"));
    if (std::system("ip link set lo up") != 0) return "cannot run ip";
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::StrCat("cannot keep mounts to ourselves: ", std::strerror(errno));
  }
  return "";
}

}  // namespace

Ground::Ground(GroundKind wanted, size_t nodes, uint64_t seed) : directory_("troupe-chaos-") {
  if (wanted == GroundKind::kNamespaces) {
    complaint_ = BecomePrivate();
    private_mounts_ = complaint_.empty();
    if (private_mounts_) UseNamespaces(nodes, seed);
  } else {
    complaint_ = "loopback was asked for";
  }
  if (!lab_) UseLoopback(nodes, seed);
  MakeDisks(nodes);
}

Ground::~Ground() {
  rules_ = nullptr;
  inside_ = nullptr;
  if (!small_disks_) return;
  for (size_t i = 0; i < places_.size(); ++i) umount2(DataOf(i).c_str(), MNT_DETACH);
}

void Ground::UseNamespaces(size_t nodes, uint64_t seed) {
  auto lab = NetworkLab::Make(static_cast<int>(nodes) + 1, Joint::kTaps);
  if (!lab.ok()) {
    complaint_ = std::string(lab.status().message());
    return;
  }
  lab_ = *std::move(lab);
  for (size_t i = 0; i < nodes; ++i) {
    NodePlace place;
    place.address = absl::StrCat(NetworkLab::AddressOf(i), ":", kPort);
    place.network_namespace = lab_->descriptor(i);
    place.arguments = {"--insecure"};
    places_.push_back(std::move(place));
  }
  rules_ = std::make_unique<TapSwitch>(lab_->taps(), seed);
  inside_ = std::make_unique<InNamespace>(lab_->descriptor(nodes));
}

void Ground::UseLoopback(size_t nodes, uint64_t seed) {
  auto proxy = std::make_unique<LoopbackProxy>(nodes, seed);
  for (size_t i = 0; i < nodes; ++i) {
    NodePlace place;
    place.address = proxy->InnerAddress(i);
    place.dialed = proxy->OuterAddress(i);
    place.environment = {absl::StrCat(kSourceVariable, "=", LoopbackProxy::SourceOf(i))};
    places_.push_back(std::move(place));
  }
  rules_ = std::move(proxy);
}

void Ground::MakeDisks(size_t nodes) {
  small_disks_ = private_mounts_;
  for (size_t i = 0; i < nodes; ++i) {
    const std::string disk = DataOf(i);
    fs::create_directory(disk);
    if (small_disks_ && mount("tmpfs", disk.c_str(), "tmpfs", 0, kDiskSize) != 0) {
      small_disks_ = false;
      absl::StrAppend(&complaint_, complaint_.empty() ? "" : "; ",
                      "cannot mount a tmpfs: ", std::strerror(errno));
    }
    const std::string delay = absl::StrCat(directory_.path(), "/n", i + 1, ".delay");
    disk_delays_.push_back(std::make_unique<DiskDelay>(delay));
    places_[i].environment.push_back(absl::StrCat(kDiskDelayVariable, "=", delay));
    places_[i].arguments.insert(places_[i].arguments.end(), {"--data-dir", disk + "/data"});
  }
}

std::string Ground::DataOf(size_t node) const {
  return absl::StrCat(directory_.path(), "/n", node + 1);
}

void Ground::FillDisk(size_t node) {
  const int fd = open((DataOf(node) + kFiller).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string block(4096, 'x');
  while (write(fd, block.data(), block.size()) > 0) {
  }
  close(fd);
}

void Ground::FreeDisk(size_t node) { unlink((DataOf(node) + kFiller).c_str()); }

void Ground::WipeDisk(size_t node) {
  std::error_code ignored;
  fs::remove_all(DataOf(node) + "/data", ignored);
}

}  // namespace troupe::chaos
