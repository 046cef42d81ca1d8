// The order of one caller's calls to one actor where it is most easily lost: calls that are sent
// again as their time runs out (docs/protocol.md P6.9).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster_fixture.h"
#include "door.capnp.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

// Turns of addLater() do not end before it is opened.
struct Door {
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> waiting;
  bool refuses = false;  // New objects.
  void Open() {
    for (auto& one : std::exchange(waiting, {})) one->fulfill();
  }
};

class DoorActor final : public Actor<Doorkeeper, DoorkeeperState> {
 public:
  explicit DoorActor(Door& door) : door_(door) {}

 private:
  Task<void> OnActivate() override {
    return door_.refuses ? kj::Promise<void>(KJ_EXCEPTION(FAILED, "told to refuse"))
                         : kj::Promise<void>(kj::READY_NOW);
  }
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> addLater(AddLaterContext call) override {
    auto paf = kj::newPromiseAndFulfiller<void>();
    door_.waiting.push_back(kj::mv(paf.fulfiller));
    return paf.promise.then(
        [this, call]() mutable { call.getResults().setValue(value_ += call.getParams().getBy()); });
  }
  void Save(DoorkeeperState::Builder out) const override { out.setValue(value_); }
  void Load(DoorkeeperState::Reader in) override { value_ = in.getValue(); }

  Door& door_;
  uint64_t value_ = 0;
};

class OrderTest : public ClusterFixture {
 protected:
  void StartDoors(const ReplicaMutations& mutations) {
    registry_.Host<DoorActor>([this] { return kj::heap<DoorActor>(door_); });
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    primary_ = cluster_->PrimaryOf({capnp::typeId<Doorkeeper>(), "x"});
  }
  // One call that holds the actor, then one whose time will be up, then one that has more time. The
  // second and third add 10 and 100: what they are told says which ran first.
  void CallThree(const ReplicaMutations& mutations = kNoMutations) {
    StartDoors(mutations);
    auto first = client_->Get<Doorkeeper>("x").addLaterRequest();
    first.setBy(1);
    Note(first.send().then([](auto&& reply) { return reply.getValue(); }), held_);
    Note(Add(10, kShort), early_);
    Note(Add(100, absl::Seconds(60)), late_);
    begun_ = cluster_->world().Now();
    cluster_->Run(absl::Milliseconds(100));
  }
  kj::Promise<uint64_t> Add(uint64_t by, absl::Duration deadline) {
    auto request = client_->Get<Doorkeeper>("x", {.deadline = deadline}).addRequest();
    request.setBy(by);
    return request.send().then([](auto&& reply) { return reply.getValue(); });
  }
  void Note(kj::Promise<uint64_t> promise, std::string& to) {
    tasks_.add(promise.then([&to](uint64_t value) { to = std::to_string(value); },
                            [&to](kj::Exception&& e) { to = Words(e); }));
  }
  // The first of two calls is refused, the second runs, and both answers are lost under way.
  void RefuseFirst() {
    auto& world = cluster_->world();
    cluster_->Run(absl::Milliseconds(100));  // Until all links are up.
    world.SetLink(primary_, "client", {absl::Seconds(1), absl::Seconds(1)});
    door_.refuses = true;
    Note(Add(10, kShort), early_);
    cluster_->Run(absl::Milliseconds(100));
    Note(Add(100, kShort), late_);
    cluster_->Run(absl::Milliseconds(50));
    world.CutOneWay(primary_, "client");
    cluster_->Run(absl::Milliseconds(900));
    door_.refuses = false;
    cluster_->Run(absl::Milliseconds(250));
    world.ClearLink(primary_, "client");
    BreakLink();
    cluster_->Run(absl::Milliseconds(20));
    cluster_->Heal();
    ExpectAnswered(late_);
    ExpectAnswered(early_);
  }
  // Before the deadline of the second call.
  void RunUntilLeft(absl::Duration left) {
    cluster_->Run(begun_ + kShort - left - cluster_->world().Now());
  }
  void BreakLink() { cluster_->world().ResetConnections("client", primary_); }
  void ExpectAnswered(std::string& answer) {
    EXPECT_TRUE(cluster_->RunUntil([&] { return !answer.empty(); }, absl::Seconds(30)));
  }

  static constexpr auto kShort = absl::Seconds(10);
  Door door_;
  std::string primary_, held_, early_, late_;
  absl::Time begun_;
};

// Its first arrival runs out of time at the node 50 ms before the second one does.
TEST_P(OrderTest, ACallThatWasSentAgainKeepsItsPlaceWhenTheTimeOfItsFirstArrivalIsUp) {
  CallThree();
  RunUntilLeft(absl::Seconds(1));
  BreakLink();
  RunUntilLeft(absl::Milliseconds(60));
  door_.Open();
  ExpectAnswered(late_);
  ExpectAnswered(early_);
  EXPECT_EQ(early_, "11");
  EXPECT_EQ(late_, "111");
}

TEST_P(OrderTest, APlaceThatGoesWithTheFirstArrivalIsFoundOut) {
  ReplicaMutations mutations;
  mutations.place_of_first_arrival = true;
  CallThree(mutations);
  RunUntilLeft(absl::Seconds(1));
  BreakLink();
  RunUntilLeft(absl::Milliseconds(60));
  door_.Open();
  ExpectAnswered(late_);
  ExpectAnswered(early_);
  EXPECT_EQ(late_, "101");
  EXPECT_THAT(early_, HasSubstr("a later call of its caller has begun"));
}

// The error is lost with the link; what was behind the call has run when it is sent again.
TEST_P(OrderTest, ACallWhoseTimeWasUpDoesNotRunWhenItIsSentAgain) {
  CallThree();
  cluster_->world().CutOneWay(primary_, "client");
  RunUntilLeft(absl::Milliseconds(40));
  door_.Open();
  cluster_->Run(absl::Milliseconds(5));
  BreakLink();
  cluster_->Heal();
  ExpectAnswered(late_);
  ExpectAnswered(early_);
  EXPECT_THAT(early_, HasSubstr("a later call of its caller has begun"));
  EXPECT_EQ(late_, "101");
  EXPECT_EQ(cluster_->Await(Add(0, kShort)), 101u);
}

// The same, when the node that has run what was behind it dies. Its clock is fast: so much time is
// left to the caller that another node leads before it is up.
TEST_P(OrderTest, NorOnAnotherNode) {
  CallThree();
  cluster_->world().SetClockRate(primary_, 1.06);
  cluster_->world().CutOneWay(primary_, "client");
  RunUntilLeft(absl::Milliseconds(550));
  door_.Open();
  cluster_->Run(absl::Milliseconds(5));
  cluster_->Kill(primary_);
  ExpectAnswered(late_);
  ExpectAnswered(early_);
  EXPECT_THAT(early_, HasSubstr("a later call of its caller has begun"));
  EXPECT_EQ(late_, "101");
  EXPECT_EQ(cluster_->Await(Add(0, kShort)), 101u);
}

// An error that its caller does not hear, in another way: there is no object for it.
TEST_P(OrderTest, ACallThatFoundNoObjectDoesNotRunBehindOneThatDid) {
  StartDoors(kNoMutations);
  RefuseFirst();
  EXPECT_THAT(early_, HasSubstr("a later call of its caller has begun"));
  EXPECT_EQ(late_, "100");
}

TEST_P(OrderTest, WhatIsRunBehindWhatWasSentBehindItIsFoundOut) {
  ReplicaMutations mutations;
  mutations.overtaken_runs = true;
  StartDoors(mutations);
  RefuseFirst();
  EXPECT_EQ(early_, "110");
  EXPECT_EQ(late_, "100");
}

INSTANTIATE_TEST_SUITE_P(Seeds, OrderTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
