// UvNetwork: the Network of one libuv loop: TCP over IPv4 and IPv6, Unix sockets, UDP, names.
//
// Threads: that of its port, which outlives it and all that it makes. Streams move to another loop
// by Detach and Attach. Names are resolved on the thread pool.
// Source: ip(7) for IP_RECVERR, by which a refused datagram is told together with its destination.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "troupe/runtime/network.h"
#include "troupe/runtime/uv_event_port.h"

namespace troupe {

class UvNetwork final : public Network {
 public:
  explicit UvNetwork(UvEventPort& port) : port_(port) {}

  // Refused, unreachable and timed out are told apart; what this side lacks (descriptors, ports,
  // memory, permission) is kLocalFailure. A socket that met itself, as happens when the port is an
  // ephemeral one without a listener, counts as refused.
  kj::Promise<Dialed> Dial(std::string_view address, absl::Duration limit) override;
  // A Unix socket file that nobody listens on any more is replaced.
  absl::StatusOr<kj::Own<Listener>> Listen(std::string_view address) override;
  absl::StatusOr<kj::Own<DatagramSocket>> Bind(std::string_view address) override;
  kj::Promise<std::vector<std::string>> Resolve(std::string name_and_port) override;
  // Takes streams of UvNetwork only.
  kj::Own<DetachedStream> Detach(kj::Own<kj::AsyncIoStream> stream) override;
  kj::Own<kj::AsyncIoStream> Attach(kj::Own<DetachedStream> stream) override;

 private:
  UvEventPort& port_;
};

}  // namespace troupe
