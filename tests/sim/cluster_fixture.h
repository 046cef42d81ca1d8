// ClusterFixture: a cluster of counters under a seed, and callers that notice what is lost or
// doubled.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "counter.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"

namespace troupe {

class ClusterFixture : public ::testing::TestWithParam<uint64_t> {
 protected:
  ClusterFixture() { registry_.Host<CounterActor>(); }

  sim::ClusterOptions Options() { return {.seed = GetParam()}; }
  void Start(std::vector<std::string> names) { Start(std::move(names), Options()); }
  void Start(std::vector<std::string> names, sim::ClusterOptions options) {
    options.nodes = std::move(names);
    cluster_ = std::make_unique<sim::Cluster>(options, registry_);
    client_ = &cluster_->AddClient("client");
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  uint64_t Add(const std::string& key, uint64_t by = 1) {
    auto request = client_->Get<Counter>(key).addRequest();
    request.setBy(by);
    return cluster_->Await(request.send().then([](auto&& r) { return r.getValue(); }));
  }
  uint64_t Get(const std::string& key) {
    return cluster_->Await(
        client_->Get<Counter>(key).getRequest().send().then([](auto&& r) { return r.getValue(); }));
  }
  std::string ErrorOf(kj::Promise<void> promise, absl::Duration limit = absl::Seconds(60)) {
    std::string text = "no error";
    auto caught =
        promise.catch_([&text](kj::Exception&& e) { text = Words(e); }).then([] { return 0; });
    cluster_->Await(kj::mv(caught), limit);
    return text;
  }

  // Calls that go on while things happen: each counter is only ever added to by one caller, so the
  // value must be the number of answered calls, or one more for one whose answer is still due.
  struct Traffic {
    std::map<std::string, uint64_t> answered;
    std::map<std::string, uint64_t> newest;  // The highest value that an answer showed.
    uint64_t errors = 0;
    std::string last_error;
    bool stop = false;
    size_t running = 0;
  };
  void Drive(Traffic& traffic, const std::string& key) {
    ++traffic.running;
    Next(traffic, key);
  }
  void Next(Traffic& traffic, const std::string& key) {
    if (traffic.stop) {
      --traffic.running;
      return;
    }
    auto request = client_->Get<Counter>(key).addRequest();
    request.setBy(1);
    tasks_.add(request.send().then(
        [this, &traffic, key](auto&& reply) {
          const uint64_t expected = ++traffic.answered[key];
          EXPECT_EQ(reply.getValue(), expected) << key << ", seed " << GetParam();
          traffic.newest[key] = reply.getValue();
          Later(traffic, key);
        },
        [this, &traffic, key](kj::Exception&& e) {
          ++traffic.errors;
          traffic.last_error = Words(e);
          Later(traffic, key);
        }));
  }
  // A pause between calls: the tests want calls at every moment, not as many as possible.
  void Later(Traffic& traffic, const std::string& key) {
    auto& timer = cluster_->world().machine("client").control().timer();
    tasks_.add(timer.afterDelay(10 * kj::MILLISECONDS).then([this, &traffic, key] {
      Next(traffic, key);
    }));
  }
  void StopAndCheck(Traffic& traffic) {
    traffic.stop = true;
    ASSERT_TRUE(cluster_->RunUntil([&] { return traffic.running == 0; }, absl::Seconds(60)));
    EXPECT_EQ(traffic.errors, 0u) << traffic.last_error << ", seed " << GetParam();
    for (const auto& [key, answered] : traffic.answered) EXPECT_EQ(Get(key), answered) << key;
  }
  void DriveMany(Traffic& traffic, int keys) {
    for (int i = 0; i < keys; ++i) Drive(traffic, "k" + std::to_string(i));
  }

  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&& e) override { ADD_FAILURE() << Words(e); }
  } errors_;
  Registry registry_;
  std::unique_ptr<sim::Cluster> cluster_;
  Client* client_ = nullptr;
  // Destroyed first: the promises live on the cluster's loop.
  struct LateTasks {
    explicit LateTasks(Errors& errors) : errors(errors) {}
    void add(kj::Promise<void>&& promise) {
      if (!set) set = std::make_unique<kj::TaskSet>(errors);
      set->add(kj::mv(promise));
    }
    Errors& errors;
    std::unique_ptr<kj::TaskSet> set;
  } tasks_{errors_};
};

}  // namespace troupe
