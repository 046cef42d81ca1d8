// What docs/guide/failure.md shows of watching, and how it is tested.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "desk.troupe.h"
#include "troupe/rpc/status.h"
#include "troupe/testing/harness.h"

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using troupe::Notice;
using troupe::testing::Harness;

class DeskActor final : public Desk::Actor {
  Task<void> Assign(std::string job, Worker::Ref to) override {
    assigned_[job] = to;
    context().Watch(to);
    context().Tell(to).Run(job);
    co_return;
  }
  Task<void> Follow(std::string node) override {
    context().WatchNode(node);
    co_return;
  }
  Task<void> OnNotice(const Notice& notice) override {
    if (!notice.who) ++nodes_gone_;
    std::erase_if(assigned_, [&](const auto& job) {
      if (job.second != notice.who) return false;
      waiting_.push_back(job.first);
      return true;
    });
    co_return;
  }
  Task<void> Waiting(Desk::WaitingResults::Builder out) override {
    auto list = out.initJobs(static_cast<unsigned>(waiting_.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, waiting_[i]);
    out.setNodesGone(nodes_gone_);
    co_return;
  }
  void Save(DeskState::Builder out) const override {
    auto assigned = out.initAssigned(static_cast<unsigned>(assigned_.size()));
    unsigned i = 0;
    for (const auto& [job, worker] : assigned_) {
      assigned[i].setName(job);
      assigned[i++].setWorker(worker);
    }
    auto waiting = out.initWaiting(static_cast<unsigned>(waiting_.size()));
    for (i = 0; i < waiting.size(); ++i) waiting.set(i, waiting_[i]);
    out.setNodesGone(nodes_gone_);
  }
  void Load(DeskState::Reader in) override {
    for (auto job : in.getAssigned()) assigned_[job.getName()] = Worker::Ref(job.getWorker());
    for (auto job : in.getWaiting()) waiting_.push_back(job.cStr());
    nodes_gone_ = in.getNodesGone();
  }

  std::map<std::string, Worker::Ref> assigned_;
  std::vector<std::string> waiting_;
  uint64_t nodes_gone_ = 0;
};

class ErringWorker final : public Worker::Actor {
  Task<void> Run(std::string) override {
    context().Erase();
    co_return;
  }
};

std::vector<std::string> Waiting(Harness& harness, Desk::Ref desk) {
  return harness.Await(desk.Waiting().AsPromise().then([](auto&& reply) {
    std::vector<std::string> out;
    for (auto job : reply.getJobs()) out.push_back(job.cStr());
    return out;
  }));
}

TEST(Desk, TakesAJobBackWhenItsWorkerHasEnded) {
  Harness harness;
  harness.Host<DeskActor>();
  harness.Fake<Worker>("w1");
  auto desk = harness.Get<Desk>("main");
  harness.Await(desk.Assign("sort", harness.Get<Worker>("w1")));
  EXPECT_THAT(harness.Watched(desk), ElementsAre("Worker/w1"));
  harness.Notify(desk, harness.Get<Worker>("w1"), Notice::Why::kSuspended, "the disk is full");
  EXPECT_THAT(Waiting(harness, desk), ElementsAre("sort"));
  EXPECT_THAT(harness.Watched(desk), IsEmpty());
}

TEST(Desk, HearsOfAWorkerThatErasesItself) {
  Harness harness({.nodes = 3});
  harness.Host<DeskActor>();
  harness.Host<ErringWorker>();
  auto desk = harness.Get<Desk>("main");
  harness.Await(desk.Assign("sort", harness.Get<Worker>("w1")));
  harness.Failover(desk);
  harness.Advance(absl::Seconds(1));
  EXPECT_THAT(Waiting(harness, desk), ElementsAre("sort"));
}

TEST(Desk, HearsOfANode) {
  Harness harness;
  harness.Host<DeskActor>();
  harness.Fake<Worker>("w1");
  auto desk = harness.Get<Desk>("main");
  harness.Await(desk.Follow("a"));
  EXPECT_THAT(harness.Watched(desk), ElementsAre("node a"));
  harness.NotifyNode(desk, "a");
  EXPECT_EQ(
      harness.Await(desk.Waiting().AsPromise().then([](auto&& r) { return r.getNodesGone(); })),
      1u);
}

TEST(Harness, NotifiesOnlyOfWhatIsWatched) {
  Harness harness;
  harness.Host<DeskActor>();
  harness.Fake<Worker>("w1");
  auto desk = harness.Get<Desk>("main");
  harness.Await(desk.Follow("a"));
  std::string text;
  try {
    harness.Notify(desk, harness.Get<Worker>("w1"), Notice::Why::kErased);
  } catch (const kj::Exception& e) {
    text = troupe::Words(e);
  }
  EXPECT_THAT(text, HasSubstr("Notify: Desk/main does not watch Worker/w1; it watches: node a"));
}

}  // namespace
