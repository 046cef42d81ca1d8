#include "troupe/runtime/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace troupe {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

absl::Status NotAnAddress(std::string_view text, const char* why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "expected host:port, [IPv6]:port or unix:/path, got \"", std::string(text), "\": ", why));
}

template <typename T>
const T& As(const sockaddr_storage& storage) {
  return reinterpret_cast<const T&>(storage);
}

absl::StatusOr<SocketAddress> ParseUnix(std::string_view text) {
  std::string_view path = text.substr(kUnixPrefix.size());
  sockaddr_un un = {};
  if (path.empty()) return NotAnAddress(text, "no path");
  if (path.size() >= sizeof un.sun_path) return NotAnAddress(text, "the path is longer than 107");
  if (path.find('\0') != path.npos) return NotAnAddress(text, "the path holds a zero byte");
  un.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), un.sun_path);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&un),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
}

absl::StatusOr<SocketAddress> ParseV6(std::string_view text, std::string host, uint16_t port) {
  sockaddr_in6 in6 = {};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  if (size_t percent = host.find('%'); percent != host.npos) {
    in6.sin6_scope_id = ::if_nametoindex(host.c_str() + percent + 1);
    if (in6.sin6_scope_id == 0) return NotAnAddress(text, "no such network interface");
    host.resize(percent);
  }
  if (::inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) {
    return NotAnAddress(text, "not a numeric IPv6 host");
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&in6), sizeof in6);
}

absl::StatusOr<SocketAddress> ParseV4(std::string_view text, const std::string& host,
                                      uint16_t port) {
  sockaddr_in in = {};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &in.sin_addr) != 1) {
    return NotAnAddress(text, "not a numeric host");
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

absl::StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text);
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return NotAnAddress(text, "no port");
  const std::string_view digits = text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return NotAnAddress(text, "the port is not a number up to 65535");
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    return ParseV6(text, std::string(host.substr(1, host.size() - 2)), port);
  }
  return ParseV4(text, std::string(host), port);
}

SocketAddress SocketAddress::OfBound(int fd) {
  SocketAddress result;
  result.size_ = sizeof result.storage_;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.size_) != 0)
    return {};
  return result;
}

SocketAddress SocketAddress::OfPeer(int fd) {
  SocketAddress result;
  result.size_ = sizeof result.storage_;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&result.storage_), &result.size_) != 0)
    return {};
  return result;
}

std::string_view SocketAddress::path() const {
  if (family() != AF_UNIX || size_ <= offsetof(sockaddr_un, sun_path)) return {};
  const auto& un = As<sockaddr_un>(storage_);
  return {un.sun_path, ::strnlen(un.sun_path, size_ - offsetof(sockaddr_un, sun_path))};
}

SocketAddress SocketAddress::MappedToV6() const {
  if (family() != AF_INET) return *this;
  const auto& in = As<sockaddr_in>(storage_);
  sockaddr_in6 in6 = {};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = in.sin_port;
  in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr, 4);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&in6), sizeof in6);
}

std::string SocketAddress::ToString() const {
  char host[INET6_ADDRSTRLEN] = "";
  switch (family()) {
    case AF_UNIX:
      return absl::StrCat(std::string(kUnixPrefix), std::string(path()));
    case AF_INET: {
      const auto& in = As<sockaddr_in>(storage_);
      ::inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
      return absl::StrCat(host, ":", ntohs(in.sin_port));
    }
    case AF_INET6: {
      const auto& in6 = As<sockaddr_in6>(storage_);
      if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        ::inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof host);
        return absl::StrCat(host, ":", ntohs(in6.sin6_port));
      }
      ::inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
      char name[IF_NAMESIZE] = "";
      const bool scoped = in6.sin6_scope_id != 0 && ::if_indextoname(in6.sin6_scope_id, name);
      return absl::StrCat("[", host, scoped ? "%" : "", name, "]:", ntohs(in6.sin6_port));
    }
    default:
      return "unknown";
  }
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  return a.size_ == b.size_ && std::memcmp(&a.storage_, &b.storage_, a.size_) == 0;
}

}  // namespace troupe
