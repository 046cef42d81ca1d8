#include "troupe/runtime/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <utility>

#include "kj/debug.h"

namespace troupe {

namespace {

void RunContained(kj::Function<void()> work) {
  try {
    work();
  } catch (const kj::Exception& e) {
    KJ_LOG(ERROR, "posted work threw", e);
  } catch (const std::exception& e) {
    KJ_LOG(ERROR, "posted work threw", e.what());
  }
}

}  // namespace

Inbox::Inbox(size_t bound) : bound_(bound) {
  KJ_SYSCALL(wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

Inbox::~Inbox() noexcept(false) {
  Close();
  ::close(wake_fd_);
}

bool Inbox::Post(kj::Function<void()> work) { return Add(kj::mv(work), Lane::kBounded); }

bool Inbox::PostControl(kj::Function<void()> work) { return Add(kj::mv(work), Lane::kControl); }

bool Inbox::Add(kj::Function<void()> work, Lane lane) {
  bool must_wake;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (lane == Lane::kBounded) {
      if (queue_bounded_ + batch_bounded_ >= bound_) return false;
      ++queue_bounded_;
    }
    queue_.push_back(kj::mv(work));
    must_wake = std::exchange(sleeping_, false);
  }
  if (must_wake) WriteWakeFd();
  return true;
}

void Inbox::Wake() const {
  if (!woken_.exchange(true, std::memory_order_acq_rel)) WriteWakeFd();
}

bool Inbox::RunSome() {
  if (batch_next_ == batch_.size() && !FetchBatch()) return false;
  for (size_t i = 0; i < kRunMax && batch_next_ < batch_.size(); ++i) {
    RunContained(kj::mv(batch_[batch_next_++]));
  }
  return true;
}

bool Inbox::FetchBatch() {
  batch_.clear();
  batch_next_ = 0;
  std::lock_guard lock(mutex_);
  sleeping_ = false;
  batch_.swap(queue_);
  batch_bounded_ = std::exchange(queue_bounded_, 0);
  return !batch_.empty();
}

bool Inbox::TrySleep() {
  if (batch_next_ < batch_.size()) return false;
  std::lock_guard lock(mutex_);
  if (!queue_.empty()) return false;
  sleeping_ = true;
  return true;
}

void Inbox::Close() {
  std::vector<kj::Function<void()>> rest;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    rest.swap(queue_);
  }
  // Destroyed outside the lock, because what is destroyed may post in turn.
  batch_.clear();
  batch_next_ = 0;
}

void Inbox::WriteWakeFd() const {
  const uint64_t one = 1;
  // EAGAIN means that the counter is full, hence readable: the wake-up is under way already.
  while (::write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Inbox::ClearWakeFd() const {
  uint64_t count;
  while (::read(wake_fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace troupe
