// Network: streams and datagrams between processes, real (libuv) or simulated.
//
// Part of the seam: nothing above runtime/ knows which one it has. Addresses are text,
// "host:port" with a numeric IPv4 or bracketed IPv6 host, or "unix:/path"; names are turned into
// addresses by Resolve(). All calls are made on the loop that owns the Network.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "kj/async-io.h"
#include "kj/async.h"

namespace troupe {

// What came of an attempt to connect. Only kRefused is an active answer of the remote side.
enum class DialOutcome { kConnected, kRefused, kUnreachable, kTimedOut, kLocalFailure };

struct Dialed {
  DialOutcome outcome;
  kj::Own<kj::AsyncIoStream> stream;  // Set when connected.
  std::string detail;                 // What failed, in words, naming the address.
};

// A stream between its owner loops: made by Network::Detach, taken by Network::Attach of another
// loop of the same process. Closes the connection when dropped.
class DetachedStream {
 public:
  virtual ~DetachedStream() noexcept(false) = default;
};

struct Accepted {
  kj::Own<kj::AsyncIoStream> stream;
  std::string peer_address;
};

// A listening socket; closed when dropped.
class Listener {
 public:
  virtual ~Listener() noexcept(false) = default;
  virtual kj::Promise<Accepted> Accept() = 0;
  // The bound address; for port 0 with the port that was chosen.
  virtual std::string address() const = 0;
};

struct Datagram {
  std::string from;
  std::vector<std::byte> bytes;
};

// One thing that arrived at a datagram socket.
struct DatagramEvent {
  enum class Kind {
    kMessage,  // `datagram` holds it.
    kRefused,  // The remote side answered "no such port" to a datagram sent to datagram.from.
  };
  Kind kind;
  Datagram datagram;
};

enum class SendOutcome { kSent, kLocalFailure, kUnreachable };

// A bound UDP socket; closed when dropped.
class DatagramSocket {
 public:
  virtual ~DatagramSocket() noexcept(false) = default;
  // Never blocks: what the kernel has no room for is dropped, and said by kLocalFailure.
  virtual SendOutcome Send(std::string_view to, std::span<const std::byte> bytes) = 0;
  virtual kj::Promise<DatagramEvent> Receive() = 0;
  virtual std::string address() const = 0;
};

class Network {
 public:
  virtual ~Network() noexcept(false) = default;

  // Never rejects: a failure is an outcome. Gives up, as kTimedOut, after `limit`.
  virtual kj::Promise<Dialed> Dial(std::string_view address, absl::Duration limit) = 0;

  // Errors: InvalidArgument (not an address), AlreadyExists (in use), PermissionDenied; each names
  // the address.
  virtual absl::StatusOr<kj::Own<Listener>> Listen(std::string_view address) = 0;
  virtual absl::StatusOr<kj::Own<DatagramSocket>> Bind(std::string_view address) = 0;

  // All addresses of "name:port"; a numeric one is returned as it is. An empty list if the name
  // cannot be resolved now. Never rejects.
  virtual kj::Promise<std::vector<std::string>> Resolve(std::string name_and_port) = 0;

  // Moves a stream to another loop of this process. No read or write may be under way; bytes not
  // yet read stay with the stream.
  virtual kj::Own<DetachedStream> Detach(kj::Own<kj::AsyncIoStream> stream) = 0;
  virtual kj::Own<kj::AsyncIoStream> Attach(kj::Own<DetachedStream> stream) = 0;
};

}  // namespace troupe
