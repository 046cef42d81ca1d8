// What values of settings, flags and options look like.
#pragma once

#include <cstdint>
#include <string>

namespace troupe {

// A decimal number from `least` to `most`, and nothing else.
bool CountWithin(const std::string& value, uint64_t least, uint64_t most);

// 1 to 255 letters, digits, '-', '_' and '.'.
bool IsName(const std::string& value);

// A numeric address and a port, which may be 0. Gossip is UDP on the same address, so no Unix
// socket.
bool IsListenAddress(const std::string& value);

// A name or a numeric host, and a port that can be dialed.
bool IsDialAddress(const std::string& value);
inline constexpr char kDialAddressShape[] = "host:port, where host is a name, IPv4 or [IPv6]";

}  // namespace troupe
