// NetworkLab: network namespaces joined by a bridge, as if each were another computer.
//
// The namespaces have no names: they exist while this object, or a process in them, does, so
// nothing is left behind however the program ends. Needs the right to make them, and iproute2.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

class NetworkLab {
 public:
  // Errors: PermissionDenied or Unavailable where the system does not allow it; the text says what.
  static absl::StatusOr<std::unique_ptr<NetworkLab>> Make(int hosts);
  ~NetworkLab();
  NetworkLab(const NetworkLab&) = delete;
  NetworkLab& operator=(const NetworkLab&) = delete;

  size_t size() const { return hosts_.size(); }
  int descriptor(size_t host) const { return hosts_[host]; }
  static std::string AddressOf(size_t host);  // IPv4, without a port.

 private:
  NetworkLab() = default;
  absl::Status Build(int hosts);

  int switch_ = -1;
  std::vector<int> hosts_;
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
