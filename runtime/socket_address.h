// SocketAddress: the binary form of "host:port" (numeric IPv4, bracketed IPv6) or "unix:/path".
//
// A value. Names are not resolved here: see Network::Resolve().
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace troupe {

class SocketAddress {
 public:
  // Errors: InvalidArgument, naming the text.
  static absl::StatusOr<SocketAddress> Parse(std::string_view text);
  static SocketAddress OfBound(int fd);  // What getsockname() says.
  static SocketAddress OfPeer(int fd);   // What getpeername() says; empty if there is none.

  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size);

  int family() const { return storage_.ss_family; }
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  std::string_view path() const;  // Of a Unix address; empty for one without a name.

  // An IPv4 address in the form that an IPv6 socket sends to; others as they are.
  SocketAddress MappedToV6() const;

  // What Parse() reads. An IPv4 address mapped to IPv6 is shown as the IPv4 address it is.
  std::string ToString() const;

  friend bool operator==(const SocketAddress& a, const SocketAddress& b);

 private:
  sockaddr_storage storage_ = {};
  socklen_t size_ = 0;
};

}  // namespace troupe
