// ClosedLoop: a fixed number of calls in flight; an answer begins the next call.
//
// Single loop. `Call` is `kj::Promise<void>(uint64_t sequence)`, which makes one call and checks
// its answer; what it rejects with ends the run.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "kj/async.h"

struct LoopResult {
  uint64_t calls = 0;
  double seconds = 0;
  std::vector<double> latencies_us;  // Of each call, if asked for.
  double us_per_call() const { return seconds * 1e6 / static_cast<double>(calls); }
};

enum class Latencies { kIgnore, kKeep };

template <typename Call>
class ClosedLoop final : private kj::TaskSet::ErrorHandler {
 public:
  ClosedLoop(Call call, size_t width, Latencies latencies)
      : call_(kj::mv(call)), width_(width), latencies_(latencies), tasks_(*this) {}

  LoopResult Run(kj::WaitScope& scope, double seconds) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    done_ = kj::mv(paf.fulfiller);
    began_ = Clock::now();
    until_ = began_ +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    open_ = width_;
    for (size_t i = 0; i < width_; ++i) Begin();
    paf.promise.wait(scope);
    return kj::mv(result_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  void Begin() {
    const auto began = Clock::now();
    tasks_.add(call_(next_++).then([this, began] { Ended(began); }));
  }

  void Ended(Clock::time_point began) {
    const auto now = Clock::now();
    ++result_.calls;
    if (latencies_ == Latencies::kKeep) {
      result_.latencies_us.push_back(
          std::chrono::duration<double, std::micro>(now - began).count());
    }
    if (now < until_) return Begin();
    // Those still under way are waited for and not counted: the rate is that of a full loop.
    if (result_.seconds == 0) {
      result_.seconds = std::chrono::duration<double>(now - began_).count();
      counted_ = result_.calls;
    }
    if (--open_ > 0) return;
    result_.calls = counted_;
    done_->fulfill();
  }

  void taskFailed(kj::Exception&& exception) override { done_->reject(kj::mv(exception)); }

  Call call_;
  const size_t width_;
  const Latencies latencies_;
  size_t open_ = 0;
  uint64_t next_ = 0;
  uint64_t counted_ = 0;
  Clock::time_point began_, until_;
  LoopResult result_;
  kj::Own<kj::PromiseFulfiller<void>> done_;
  kj::TaskSet tasks_;
};
