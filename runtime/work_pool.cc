#include "troupe/runtime/work_pool.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/runtime/host.h"
#include "troupe/runtime/thread_name.h"

namespace troupe {
namespace {

constexpr std::chrono::seconds kFarewell{2};

}  // namespace

struct WorkPool::Job {
  kj::Maybe<kj::Function<void()>> work;  // Until it begins.
  kj::Maybe<kj::Exception> error;        // With which it has ended.
  Host* host = nullptr;                  // Null: nobody waits any more.
  Waiter* waiter = nullptr;              // Of the host's loop alone.
};

struct WorkPool::State {
  State(size_t threads_max, size_t waiting_max)
      : threads_max(threads_max), waiting_max(waiting_max) {}
  std::mutex mutex;
  std::condition_variable work_is_there;
  std::condition_variable idle;
  std::deque<std::shared_ptr<Job>> waiting;
  const size_t threads_max;
  const size_t waiting_max;
  size_t threads = 0;
  size_t free = 0;  // Threads that wait for work.
  bool ended = false;
};

class WorkPool::Waiter {
 public:
  Waiter(kj::PromiseFulfiller<void>& fulfiller, std::shared_ptr<State> state,
         std::shared_ptr<Job> job)
      : fulfiller_(fulfiller), state_(std::move(state)), job_(std::move(job)) {
    job_->waiter = this;
  }
  ~Waiter() {
    kj::Maybe<kj::Function<void()>> dropped;  // Destroyed without the lock.
    std::lock_guard lock(state_->mutex);
    job_->host = nullptr;
    job_->waiter = nullptr;
    dropped = kj::mv(job_->work);
    job_->work = nullptr;
  }
  void Done() {
    KJ_IF_MAYBE (e, job_->error) {
      fulfiller_.reject(kj::mv(*e));
    } else {
      fulfiller_.fulfill();
    }
  }

 private:
  kj::PromiseFulfiller<void>& fulfiller_;
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Job> job_;
};

WorkPool::WorkPool(size_t threads, size_t waiting)
    : state_(std::make_shared<State>(threads, waiting)) {}

WorkPool::~WorkPool() noexcept {
  std::unique_lock lock(state_->mutex);
  state_->ended = true;
  state_->waiting.clear();
  state_->work_is_there.notify_all();
  state_->idle.wait_for(lock, kFarewell, [this] { return state_->threads == 0; });
}

kj::Promise<void> WorkPool::Run(Host& host, kj::Function<void()> work) {
  auto job = std::make_shared<Job>();
  job->work = kj::mv(work);
  job->host = &host;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->free <= state_->waiting.size() && state_->threads < state_->threads_max) {
      std::thread([state = state_] { Serve(state); }).detach();
      ++state_->threads;
      ++state_->free;
    } else if (state_->waiting.size() >= state_->waiting_max) {
      return kj::Exception(
          kj::Exception::Type::OVERLOADED, __FILE__, __LINE__,
          kj::heapString(absl::StrCat("all ", state_->threads_max,
                                      " threads for Offload() are "
                                      "busy, and ",
                                      state_->waiting_max,
                                      " pieces of work wait; try again later, or split less")
                             .c_str()));
    }
  }
  auto promise = kj::newAdaptedPromise<void, Waiter>(state_, job);
  std::lock_guard lock(state_->mutex);
  state_->waiting.push_back(kj::mv(job));
  state_->work_is_there.notify_one();
  return promise;
}

void WorkPool::Serve(const std::shared_ptr<State>& state) {
  SetThreadName("offload");
  std::unique_lock lock(state->mutex);
  while (true) {
    state->work_is_there.wait(lock, [&] { return state->ended || !state->waiting.empty(); });
    if (state->ended) break;
    auto job = std::move(state->waiting.front());
    state->waiting.pop_front();
    auto taken = kj::mv(job->work);
    job->work = nullptr;
    if (taken == nullptr) continue;  // Nobody waits for it.
    --state->free;
    lock.unlock();
    auto error = kj::runCatchingExceptions([&] { KJ_ASSERT_NONNULL(taken)(); });
    taken = nullptr;
    lock.lock();
    ++state->free;
    job->error = kj::mv(error);
    if (job->host == nullptr) continue;
    // Under the lock: until the waiter has taken it, the host is there.
    job->host->PostControl([job] {
      if (job->waiter != nullptr) job->waiter->Done();
    });
  }
  --state->threads;
  state->idle.notify_all();
}

}  // namespace troupe
