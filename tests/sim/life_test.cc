// Objects of actors come and go; what they answered stays.
#include "clerk_fixture.h"

namespace troupe {
namespace {

class LifeTest : public ClerkFixture {
 protected:
  // Calls and kills all along, while objects go as fast as they come. The number of answers and
  // values at the end that are not what they should be.
  uint64_t WrongWhileObjectsComeAndGo(const ReplicaMutations& mutations) {
    HostClerks({.idle_timeout = absl::Milliseconds(50)});
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    for (int i = 0; i < 20; ++i) {
      ++running_;
      Next("k" + std::to_string(i));
    }
    for (const auto* name : {"a", "b", "c"}) {
      cluster_->Run(absl::Seconds(2));
      cluster_->Kill(name);
      cluster_->Run(absl::Seconds(2));
      cluster_->Restart(name);
      EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
    }
    stop_ = true;
    EXPECT_TRUE(cluster_->RunUntil([&] { return running_ == 0; }));
    for (const auto& [key, count] : answered_) wrong_ += Look(key).value != count;
    return wrong_;
  }

 private:
  void Next(const std::string& key) {
    if (stop_) {
      --running_;
      return;
    }
    if (cluster_->world().random().Below(4) == 0) {
      tasks_.add(At(key).Deactivate(1).AsPromise().then([this, key] { ++answered_[key]; },
                                                        [this](kj::Exception&&) { ++wrong_; }));
    }
    // Perhaps behind the one that has the object go.
    tasks_.add(At(key).Add(1).AsPromise().then(
        [this, key](uint64_t value) {
          wrong_ += value != ++answered_[key];
          Again(key);
        },
        [this, key](kj::Exception&&) {
          ++wrong_;
          Again(key);
        }));
  }
  void Again(const std::string& key) {
    auto& timer = cluster_->world().machine("client").control().timer();
    const auto pause = static_cast<int64_t>(cluster_->world().random().Below(200));
    tasks_.add(timer.afterDelay(pause * kj::MILLISECONDS).then([this, key] { Next(key); }));
  }

  std::map<std::string, uint64_t> answered_;
  size_t running_ = 0;
  bool stop_ = false;
  uint64_t wrong_ = 0;
};

TEST_P(LifeTest, ANewObjectIsActivatedOnceBeforeItsFirstTurn) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  EXPECT_EQ(Add("x"), 2u);
  EXPECT_EQ(office_.activated["x"], 1u);
  EXPECT_EQ(office_.deactivated["x"], 0u);
}

TEST_P(LifeTest, ActivationsThatNeedEachOtherAreACycleAndFailAtOnce) {
  office_.activates_with = {{"x", "y"}, {"y", "x"}, {"z", "w"}};
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(At("x").Add(0).AsPromise().ignoreResult(), absl::Seconds(2)),
              ::testing::HasSubstr("call cycle"));
  EXPECT_EQ(Add("z"), 1u);
}

TEST_P(LifeTest, LookingAtAnActorThatNeverWasLeavesNothing) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Look("x").value, 0u);
  EXPECT_EQ(office_.activated["x"], 1u);
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(StatusOf(cluster_->PrimaryOf(ClerkId("x"))).stored, 0u);
}

TEST_P(LifeTest, AnIdleActorGoesAndItsStateStays) {
  HostClerks({.idle_timeout = absl::Seconds(10)});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x", 5), 5u);
  const uint64_t object = Look("x").object;
  cluster_->Run(absl::Seconds(8));
  EXPECT_EQ(Look("x").object, object);  // That was no call to be forgotten.
  cluster_->Run(absl::Seconds(8));
  EXPECT_EQ(Activations(), 1u);
  cluster_->Run(absl::Seconds(4));
  EXPECT_EQ(Activations(), 0u);
  EXPECT_EQ(office_.deactivated["x"], 1u);
  EXPECT_EQ(Add("x"), 6u);
  EXPECT_EQ(office_.activated["x"], 2u);
}

TEST_P(LifeTest, OneThatIsNeverIdleStays) {
  HostClerks({.idle_timeout = absl::ZeroDuration()});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Run(absl::Minutes(11));
  EXPECT_EQ(Activations(), 1u);
}

TEST_P(LifeTest, ATimerKeepsItActiveOnlyIfItSaysSo) {
  HostClerks({.idle_timeout = absl::Seconds(10)});
  Start({"a", "b", "c"});
  Tick("x", absl::Seconds(1), true);
  Tick("y", absl::Seconds(1), false);
  cluster_->Run(absl::Seconds(30));
  EXPECT_EQ(office_.deactivated["x"], 0u);
  EXPECT_EQ(office_.deactivated["y"], 1u);
  EXPECT_GE(Look("x").ticked, 29u);
}

TEST_P(LifeTest, WhoDeactivatesItselfIsMetAnewAndLosesNoCall) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x", 7), 7u);
  auto left = At("x").Deactivate(1);
  auto added = At("x").Add(2);  // Waits in the mailbox of the one that goes.
  Finish(kj::mv(left));
  EXPECT_EQ(cluster_->Await(kj::mv(added)), 10u);
  EXPECT_EQ(office_.activated["x"], 2u);
  EXPECT_EQ(office_.deactivated["x"], 1u);
}

TEST_P(LifeTest, WhatOnDeactivateChangesIsKept) {
  office_.adds_at_end = true;
  HostClerks({.idle_timeout = absl::Seconds(10)});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Run(absl::Seconds(12));
  EXPECT_EQ(Activations(), 0u);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  EXPECT_EQ(Look("x").value, 101u);
}

TEST_P(LifeTest, OnDeactivateThatNeverEndsIsCutShortAndChangesNothing) {
  office_.adds_at_end = true;
  office_.never_deactivates.insert("x");
  HostClerks({.idle_timeout = absl::Seconds(10)});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Run(absl::Seconds(11));
  EXPECT_EQ(cluster_->Await(At("x").Add(1), absl::Seconds(5)), 2u);
  EXPECT_EQ(office_.activated["x"], 2u);
}

TEST_P(LifeTest, OnDeactivateIsCutShortThoughACallerSettlesMeanwhile) {
  office_.never_deactivates.insert("x");
  office_.activates_with = {{"z", "x"}};  // It tells its mark a second later.
  HostClerks({.idle_timeout = absl::Milliseconds(500)});
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("z"), 1u);
  cluster_->Run(absl::Seconds(7));
  EXPECT_EQ(office_.deactivated["x"], 1u);
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  EXPECT_EQ(Add("x"), 2u);
}

TEST_P(LifeTest, AMoveDeactivatesInOrder) {
  office_.adds_at_end = true;
  HostClerks();
  Start({"a", "b", "c"});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Add("k" + std::to_string(i)), 1u);
  cluster_->Leave("b");
  ASSERT_TRUE(cluster_->RunUntil([&] { return !cluster_->leaving("b"); }));
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(Look(key).value, 1u + 100 * office_.deactivated[key]) << key;
  }
}

TEST_P(LifeTest, AnErasedActorBeginsAnewAndLeavesNothing) {
  HostClerks();
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x", 5), 5u);
  Remind("x", absl::Seconds(5), absl::Seconds(5));
  cluster_->Await(At("x").Erase());
  EXPECT_EQ(Look("x").value, 0u);
  EXPECT_EQ(office_.activated["x"], 2u);
  EXPECT_EQ(office_.deactivated["x"], 0u);
  cluster_->Kill(cluster_->PrimaryOf(ClerkId("x")));
  EXPECT_EQ(Look("x").value, 0u);
  cluster_->Run(absl::Seconds(20));
  EXPECT_TRUE(Look("x").served.empty());
  cluster_->Run(absl::Minutes(14));  // Past its idle time, and its callers' records.
  for (const auto& name : cluster_->names()) {
    if (!cluster_->has(name)) continue;
    EXPECT_EQ(StatusOf(name).stored, 0u) << name;
  }
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(LifeTest, AnErasedActorThatCallsOthersIsNotTakenForItsPast) {
  HostClerks();
  Start({"a", "b", "c"});
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) {
      Remind("x", absl::Seconds(i + 1), absl::ZeroDuration(), CatchUp::kOnce, std::to_string(i));
    }
    cluster_->Run(absl::Seconds(5));
    EXPECT_EQ(Look("x").served.size(), 3u);
    cluster_->Await(At("x").Erase());
    // Past the time for which its callers' records stay, but not that of what it called.
    cluster_->Run(round == 0 ? absl::Seconds(1) : absl::Minutes(13));
  }
  EXPECT_EQ(Get("x"), 9u);
}

TEST_P(LifeTest, KillsWhileObjectsComeAndGoLoseAndDoubleNothing) {
  EXPECT_EQ(WrongWhileObjectsComeAndGo(kNoMutations), 0u);
  EXPECT_GT(office_.objects, 100u);
}

TEST_P(LifeTest, AnObjectThatGoesBeforeItsChangesAreSafeIsFoundOut) {
  ReplicaMutations early;
  early.passivated_early = true;
  EXPECT_GT(WrongWhileObjectsComeAndGo(early), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LifeTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
