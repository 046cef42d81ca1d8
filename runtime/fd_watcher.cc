#include "troupe/runtime/fd_watcher.h"

#include <uv.h>

#include "kj/debug.h"

namespace troupe {

struct FdWatcher::Handle {
  uv_poll_t poll;
  Observer* observer;
  unsigned watched;

  static void OnPoll(uv_poll_t* poll, int status, int uv_events) {
    auto* handle = static_cast<Handle*>(poll->data);
    unsigned events = kNone;
    if (status < 0) {
      events = handle->watched;  // libuv stops the handle when the descriptor is in error.
      handle->watched = kNone;
    } else {
      if (uv_events & UV_READABLE) events |= kReadable;
      if (uv_events & UV_WRITABLE) events |= kWritable;
      if (uv_events & UV_PRIORITIZED) events |= kHangUp;
    }
    handle->observer->OnFdReady(events);
  }
};

FdWatcher::FdWatcher(UvEventPort& port, int fd, Observer& observer)
    : handle_(new Handle{{}, &observer, kNone}) {
  int result = uv_poll_init(port.loop(), &handle_->poll, fd);
  if (result != 0) {
    delete handle_;
    KJ_FAIL_REQUIRE("descriptor cannot be watched", fd, uv_strerror(result));
  }
  handle_->poll.data = handle_;
}

FdWatcher::~FdWatcher() noexcept(false) {
  // Stops at once and takes the descriptor out of epoll, so that it may be closed right after.
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_->poll),
           [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
}

void FdWatcher::Watch(unsigned events) {
  if (events == handle_->watched) return;
  handle_->watched = events;
  if (events == kNone) {
    uv_poll_stop(&handle_->poll);
    return;
  }
  int uv_events = 0;
  if (events & kReadable) uv_events |= UV_READABLE;
  if (events & kWritable) uv_events |= UV_WRITABLE;
  if (events & kHangUp) uv_events |= UV_PRIORITIZED;
  int result = uv_poll_start(&handle_->poll, uv_events, &Handle::OnPoll);
  KJ_REQUIRE(result == 0, "uv_poll_start", uv_strerror(result));
}

unsigned FdWatcher::watched() const { return handle_->watched; }

}  // namespace troupe
