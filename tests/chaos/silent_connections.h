// SilentConnections: plain TCP connections to an address, held open and silent.
#pragma once

#include <string>
#include <vector>

namespace troupe::chaos {

class SilentConnections {
 public:
  SilentConnections() = default;
  ~SilentConnections() { CloseAll(); }
  SilentConnections(const SilentConnections&) = delete;
  SilentConnections& operator=(const SilentConnections&) = delete;

  // Begins to; does not wait. `address` is IPv4:port.
  void Dial(const std::string& address, size_t count);
  void CloseAll();

 private:
  std::vector<int> sockets_;
};

}  // namespace troupe::chaos
