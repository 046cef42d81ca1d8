// Inbox: work that other threads hand to one event loop, and the eventfd that wakes it.
//
// A bounded queue with many producers and one consumer. Order is kept per posting thread, over both
// lanes. A wake-up is written only when the consumer announced that it sleeps, so a burst costs
// one. Threads: Post*, Wake: any. The rest: the consumer only. Outlives every poster; after Close()
// a post is refused, never lost silently.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include "kj/function.h"

namespace troupe {

class Inbox {
 public:
  // `bound`: entries of Post() that may wait. Throws when the system has no eventfd left.
  explicit Inbox(size_t bound);
  ~Inbox() noexcept(false);
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // False, and `work` is destroyed here, when the bound is reached or after Close().
  [[nodiscard]] bool Post(kj::Function<void()> work);
  // The same without the bound.
  bool PostControl(kj::Function<void()> work);
  // Makes the consumer return from its sleep and see TakeWake() once (kj::EventPort::wake()).
  void Wake() const;

  // Runs up to kRunMax waiting entries; true if it ran any. Ends an announced sleep. What an entry
  // throws is logged and goes no further.
  bool RunSome();
  // Announces sleep: from now on a post writes to wake_fd(). False if work waits; then do not
  // sleep.
  [[nodiscard]] bool TrySleep();
  // Refuses later posts and destroys, here, what still waits.
  void Close();
  bool TakeWake() const { return woken_.exchange(false, std::memory_order_acq_rel); }

  // Readable while a wake-up is under way; ClearWakeFd() resets it.
  int wake_fd() const { return wake_fd_; }
  void ClearWakeFd() const;

 private:
  static constexpr size_t kRunMax =
      256;  // So that a burst does not keep the loop from its sockets.
  enum class Lane { kBounded, kControl };

  bool Add(kj::Function<void()> work, Lane lane);
  bool FetchBatch();
  void WriteWakeFd() const;

  const size_t bound_;
  int wake_fd_;
  mutable std::atomic<bool> woken_{false};

  std::mutex mutex_;
  std::vector<kj::Function<void()>> queue_;  // Guarded by mutex_, as all up to the blank line.
  size_t queue_bounded_ = 0;                 // Entries of the bounded lane in queue_ ...
  size_t batch_bounded_ = 0;  // ... and in batch_: they count until the batch is done.
  bool sleeping_ = false;
  bool closed_ = false;

  std::vector<kj::Function<void()>> batch_;  // The consumer's own.
  size_t batch_next_ = 0;
};

}  // namespace troupe
