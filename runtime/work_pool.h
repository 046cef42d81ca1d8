// WorkPool: threads for what would hold up an event loop: blocking calls and long computations.
//
// Apart from the threads that files use, so that nothing here keeps a node's disk waiting. Threads
// start as they are needed. Bounded: work beyond what may wait is refused, OVERLOADED.
//
// Thread-safe. Destroyed after the hosts that work was given for have no promise of it any more;
// work that still runs then is waited for two seconds, and after that left to itself.
#pragma once

#include <cstddef>
#include <memory>

#include "kj/async.h"
#include "kj/function.h"

namespace troupe {

class Host;

inline constexpr size_t kPoolThreads = 16;
inline constexpr size_t kPoolWorkMax = 1024;  // That waits for a thread.

class WorkPool {
 public:
  explicit WorkPool(size_t threads = kPoolThreads, size_t waiting = kPoolWorkMax);
  ~WorkPool() noexcept;
  KJ_DISALLOW_COPY(WorkPool);

  // On the loop of `host`: runs `work` on a thread, and resolves on that loop; rejects with what it
  // throws. Dropping the promise drops work that has not begun; what has, ends unheard. `work` is
  // destroyed on the thread that has run it, else here.
  kj::Promise<void> Run(Host& host, kj::Function<void()> work);

 private:
  struct Job;
  struct State;
  class Waiter;
  static void Serve(const std::shared_ptr<State>& state);
  const std::shared_ptr<State> state_;
};

}  // namespace troupe
