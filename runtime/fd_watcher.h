// FdWatcher: tells an observer when a file descriptor can be read or written (a uv_poll_t).
//
// Level-triggered. Interest stays as it is until Watch() changes it, because each change costs two
// system calls. The descriptor is borrowed: close it after the watcher is gone. The watcher may be
// destroyed at any time, also by its observer while that is being told.
#pragma once

#include "troupe/runtime/uv_event_port.h"

namespace troupe {

class FdWatcher {
 public:
  enum Events : unsigned {
    kNone = 0,
    kReadable = 1,
    kWritable = 2,
    kHangUp = 4,  // Interest in nothing but the hang-up and the error that are told in any case.
  };
  class Observer {
   public:
    // `events`: what is ready. After an error or hang-up: all that was watched, and interest is
    // then perhaps gone; see watched().
    virtual void OnFdReady(unsigned events) = 0;

   protected:
    ~Observer() = default;
  };

  // `fd` is made non-blocking. Throws if it cannot be watched.
  FdWatcher(UvEventPort& port, int fd, Observer& observer);
  ~FdWatcher() noexcept(false);
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;

  void Watch(unsigned events);
  unsigned watched() const;

 private:
  struct Handle;
  Handle* handle_;  // Freed by libuv's close callback.
};

}  // namespace troupe
