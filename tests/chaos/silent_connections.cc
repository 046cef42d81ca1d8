#include "silent_connections.h"

#include <sys/socket.h>
#include <unistd.h>

#include "troupe/runtime/socket_address.h"

namespace troupe::chaos {

void SilentConnections::Dial(const std::string& address, size_t count) {
  const auto parsed = SocketAddress::Parse(address);
  for (size_t i = 0; parsed.ok() && i < count; ++i) {
    const int fd = socket(parsed->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    sockets_.push_back(fd);
    connect(fd, reinterpret_cast<const sockaddr*>(parsed->data()), parsed->size());
  }
}

void SilentConnections::CloseAll() {
  for (int fd : sockets_) close(fd);
  sockets_.clear();
}

}  // namespace troupe::chaos
