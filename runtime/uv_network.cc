#include "troupe/runtime/uv_network.h"

#include <utility>

#include "kj/debug.h"
#include "troupe/runtime/internal/uv_sockets.h"
#include "troupe/runtime/internal/uv_stream.h"

namespace troupe {

namespace {

class DetachedFd final : public DetachedStream {
 public:
  explicit DetachedFd(OwnFd fd) : fd(std::move(fd)) {}
  OwnFd fd;
};

}  // namespace

absl::Status OpenFailure(const char* doing, std::string_view address, int error) {
  std::string text = absl::StrCat(doing, " ", std::string(address), ": ", ErrnoText(error));
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENOENT:
    case ENOTDIR:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

kj::Promise<Dialed> UvNetwork::Dial(std::string_view address, absl::Duration limit) {
  return UvDial(port_, address, limit);
}

absl::StatusOr<kj::Own<Listener>> UvNetwork::Listen(std::string_view address) {
  return UvListen(port_, address);
}

absl::StatusOr<kj::Own<DatagramSocket>> UvNetwork::Bind(std::string_view address) {
  return UvBind(port_, address);
}

kj::Promise<std::vector<std::string>> UvNetwork::Resolve(std::string name_and_port) {
  return UvResolve(port_, std::move(name_and_port));
}

kj::Own<DetachedStream> UvNetwork::Detach(kj::Own<kj::AsyncIoStream> stream) {
  auto* ours = dynamic_cast<UvStream*>(stream.get());
  KJ_REQUIRE(ours != nullptr, "only a plain socket can move to another loop");
  return kj::heap<DetachedFd>(ours->Release());
}

kj::Own<kj::AsyncIoStream> UvNetwork::Attach(kj::Own<DetachedStream> stream) {
  auto* ours = dynamic_cast<DetachedFd*>(stream.get());
  KJ_REQUIRE(ours != nullptr, "not detached from a network of this kind");
  return kj::heap<UvStream>(port_, std::move(ours->fd));
}

}  // namespace troupe
