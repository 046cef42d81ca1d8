#include "troupe/actors/setting_values.h"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "troupe/membership/limits.h"
#include "troupe/runtime/socket_address.h"

namespace troupe {

bool CountWithin(const std::string& value, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const char* end = value.data() + value.size();
  auto [rest, error] = std::from_chars(value.data(), end, number);
  return error == std::errc() && rest == end && number >= least && number <= most;
}

bool IsName(const std::string& value) {
  return !value.empty() && value.size() <= kTextBytesMax &&
         std::all_of(value.begin(), value.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

bool IsListenAddress(const std::string& value) {
  auto parsed = SocketAddress::Parse(value);
  return parsed.ok() && parsed->family() != AF_UNIX;
}

bool IsDialAddress(const std::string& value) {
  const size_t colon = value.rfind(':');
  if (colon == value.npos || value.size() > kTextBytesMax) return false;
  const std::string host = value.substr(0, colon);
  if (!CountWithin(value.substr(colon + 1), 1, 65535)) return false;
  return IsName(host) || IsListenAddress(value);
}

}  // namespace troupe
