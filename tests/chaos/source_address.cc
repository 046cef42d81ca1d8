// What the node's program has in place of libc's connect: it dials from an address of its own, by
// which a proxy knows it. See loopback_proxy.h.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

#include "loopback_proxy.h"

extern "C" int connect(int fd, const sockaddr* address, socklen_t size) {
  static const char* const source = std::getenv(kSourceVariable);
  if (source != nullptr && address->sa_family == AF_INET) {
    const int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    inet_pton(AF_INET, source, &own.sin_addr);
    bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own);  // Fails where it is bound: fine.
  }
  using Real = int (*)(int, const sockaddr*, socklen_t);
  return reinterpret_cast<Real>(dlsym(RTLD_NEXT, "connect"))(fd, address, size);
}
