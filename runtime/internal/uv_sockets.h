// The parts of UvNetwork, one source file each.
#pragma once

#include "troupe/runtime/internal/posix.h"
#include "troupe/runtime/network.h"
#include "troupe/runtime/socket_address.h"
#include "troupe/runtime/uv_event_port.h"

namespace troupe {

kj::Promise<Dialed> UvDial(UvEventPort& port, std::string_view address, absl::Duration limit);
absl::StatusOr<kj::Own<Listener>> UvListen(UvEventPort& port, std::string_view address);
absl::StatusOr<kj::Own<DatagramSocket>> UvBind(UvEventPort& port, std::string_view address);
kj::Promise<std::vector<std::string>> UvResolve(UvEventPort& port, std::string name_and_port);

// The status for a socket that could not be opened on `address`.
absl::Status OpenFailure(const char* doing, std::string_view address, int error);

}  // namespace troupe
