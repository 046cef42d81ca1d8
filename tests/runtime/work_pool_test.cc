// Work of the program runs on other threads, comes back, and is bounded.
#include "troupe/runtime/work_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kj/debug.h"
#include "kj/vector.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

class WorkPoolTest : public ::testing::Test {
 protected:
  WorkPoolTest()
      : machine_(std::make_unique<kj::Own<UvMachine>>(UvMachine::Create({.node = "test"}).value())),
        host_((*machine_)->control()),
        scope_((*machine_)->wait_scope()) {}
  ~WorkPoolTest() noexcept override = default;

  std::unique_ptr<kj::Own<UvMachine>> machine_;
  Host& host_;
  kj::WaitScope& scope_;
};

std::string ErrorOf(kj::Promise<void> promise, kj::WaitScope& scope) {
  std::string text = "(none)";
  promise.catch_([&](kj::Exception&& e) { text = e.getDescription().cStr(); }).wait(scope);
  return text;
}

TEST_F(WorkPoolTest, RunsElsewhereAndReturnsHere) {
  std::thread::id there;
  host_.Offload([&] { there = std::this_thread::get_id(); }).wait(scope_);
  EXPECT_NE(there, std::thread::id());
  EXPECT_NE(there, std::this_thread::get_id());
}

TEST_F(WorkPoolTest, HandsTheExceptionBack) {
  EXPECT_THAT(ErrorOf(host_.Offload([] { KJ_FAIL_REQUIRE("no paper"); }), scope_),
              HasSubstr("no paper"));
  EXPECT_THAT(ErrorOf(host_.Offload([] { throw std::runtime_error("no ink"); }), scope_),
              HasSubstr("no ink"));
}

TEST_F(WorkPoolTest, ManyRunAtATime) {
  WorkPool pool(4, 16);
  std::latch all(4);  // Nobody passes before the last has come.
  kj::Vector<kj::Promise<void>> runs;
  for (int i = 0; i < 4; ++i) runs.add(pool.Run(host_, [&] { all.arrive_and_wait(); }));
  kj::joinPromises(runs.releaseAsArray()).wait(scope_);
}

TEST_F(WorkPoolTest, RefusesWhatIsTooMuchAndGoesOnAfterIt) {
  WorkPool pool(1, 2);
  std::latch gate(1), begun(1);
  auto first = pool.Run(host_, [&] {
    begun.count_down();
    gate.wait();
  });
  begun.wait();
  auto second = pool.Run(host_, [] {});
  auto third = pool.Run(host_, [] {});
  EXPECT_THAT(ErrorOf(pool.Run(host_, [] {}), scope_),
              HasSubstr("all 1 threads for Offload() are busy, and 2 pieces of work wait"));
  gate.count_down();
  first.wait(scope_);
  second.wait(scope_);
  third.wait(scope_);
  pool.Run(host_, [] {}).wait(scope_);
}

TEST_F(WorkPoolTest, WhatNobodyWaitsForIsNotBegun) {
  WorkPool pool(1, 8);
  std::latch gate(1), begun(1);
  std::atomic<int> ran = 0;
  auto first = pool.Run(host_, [&] {
    begun.count_down();
    gate.wait();
  });
  begun.wait();
  {
    auto dropped = pool.Run(host_, [&] { ++ran; });
  }
  auto last = pool.Run(host_, [&] { ran += 10; });
  gate.count_down();
  first.wait(scope_);
  last.wait(scope_);
  EXPECT_EQ(ran, 10);
}

TEST_F(WorkPoolTest, APromiseMayGoWhileItsWorkRuns) {
  auto alive = std::make_shared<int>(0);
  std::latch gate(1);
  for (int i = 0; i < 8; ++i) {
    auto begun = std::make_shared<std::latch>(1);
    auto dropped = host_.Offload([alive, begun, &gate] {
      begun->count_down();
      gate.wait();
    });
    begun->wait();
  }
  gate.count_down();
  machine_ = nullptr;  // Waits for them.
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace troupe
