// Small helpers over errno and descriptors, for runtime/*.cc only.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kj/exception.h"
#include "kj/string.h"

namespace troupe {

inline const char* ErrnoText(int error) {
  const char* text = ::strerrordesc_np(error);
  return text == nullptr ? "unknown error" : text;
}

// The end of a connection, as KJ tells it.
inline kj::Exception Disconnected(const char* doing, int error) {
  return kj::Exception(kj::Exception::Type::DISCONNECTED, __FILE__, __LINE__,
                       kj::str(doing, ": ", ErrnoText(error)));
}

// A failure of the system below us, as KJ tells it.
inline kj::Exception SystemFailure(const std::string& doing, int error) {
  return kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                       kj::str(doing.c_str(), ": ", ErrnoText(error)));
}

// Calls `call` again as long as a signal interrupts it.
template <typename Call>
auto Retrying(Call&& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Owns a descriptor.
class OwnFd {
 public:
  OwnFd() = default;
  explicit OwnFd(int fd) : fd_(fd) {}
  OwnFd(OwnFd&& other) noexcept : fd_(other.release()) {}
  OwnFd& operator=(OwnFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~OwnFd() { reset(); }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace troupe
