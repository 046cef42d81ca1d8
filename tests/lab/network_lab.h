// NetworkLab: network namespaces joined to each other, as if each were another computer.
//
// The namespaces have no names: they exist while this object, or a process in them, does, so
// nothing is left behind however the program ends. Needs the right to make them, and iproute2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// By what the namespaces are joined.
enum class Joint : uint8_t {
  kBridge,  // The kernel's own: fast, and never at fault.
  kTaps,    // Nothing yet: each has a device whose frames a program has to carry (tap_switch.h).
};

class NetworkLab {
 public:
  // Errors: PermissionDenied or Unavailable where the system does not allow it; the text says what.
  static absl::StatusOr<std::unique_ptr<NetworkLab>> Make(int hosts, Joint joint = Joint::kBridge);
  ~NetworkLab();
  NetworkLab(const NetworkLab&) = delete;
  NetworkLab& operator=(const NetworkLab&) = delete;

  size_t size() const { return hosts_.size(); }
  int descriptor(size_t host) const { return hosts_[host]; }
  // With Joint::kTaps: one frame a read or write. The sixth byte of a host's Ethernet address is
  // its number, from 1.
  const std::vector<int>& taps() const { return taps_; }
  static std::string AddressOf(size_t host);  // IPv4, without a port.

 private:
  NetworkLab() = default;
  absl::Status BuildBridge(int hosts);
  absl::Status BuildTaps(int hosts);

  int switch_ = -1;
  std::vector<int> hosts_;
  std::vector<int> taps_;
};

// The calling thread is within a namespace while this lives.
class InNamespace {
 public:
  explicit InNamespace(int descriptor);  // Throws std::runtime_error.
  ~InNamespace();
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;

 private:
  int before_;
};
