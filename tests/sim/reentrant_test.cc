// A call of a $reentrant method that comes back to a turn runs within it, takes effect once, and
// nobody else gets in.
#include "../seeds.h"
#include "cluster_fixture.h"
#include "desk.h"
#include "troupe/actors/shard_of.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ReentrantTest : public ClusterFixture {
 protected:
  explicit ReentrantTest(absl::Duration turn_limit = absl::Minutes(1)) {
    registry_.Host<DeskActor>([this] { return kj::heap<DeskActor>(office_); },
                              {.turn_limit = turn_limit});
  }

  Desk::Ref At(const std::string& key) { return client_->Get<Desk>(key); }
  Task<Desk::TourReply> Tour(const std::string& key, const std::vector<std::string>& way,
                             const std::string& how = "") {
    return At(key).TourWith([&](Desk::TourParams::Builder params) {
      auto list = params.initWay(static_cast<unsigned>(way.size()));
      for (unsigned i = 0; i < list.size(); ++i) list.set(i, way[i].c_str());
      params.setHow(how.c_str());
    });
  }
  kj::Promise<void> Quietly(const std::string& key, const std::vector<std::string>& way,
                            const std::string& how = "") {
    return Tour(key, way, how).AsPromise().ignoreResult();
  }
  Desk::LookReply Look(const std::string& key) { return cluster_->Await(At(key).Look()); }

  // Marks that wait go on once it is open.
  std::function<kj::Promise<void>()> Gate(const bool& open) {
    return [this, &open] { return Opened(open); };
  }
  kj::Promise<void> Opened(const bool& open) {
    if (open) return kj::READY_NOW;
    auto& timer = cluster_->world().machine("client").control().timer();
    return timer.afterDelay(1 * kj::MILLISECONDS).then([this, &open] { return Opened(open); });
  }

  // Tours all along, while nodes die. What is wrong in their answers.
  uint64_t WrongThroughKills(const ReplicaMutations& mutations, int kills = 6) {
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    Random random(GetParam());
    bool stop = false;
    uint64_t running = 0, wrong = 0;
    std::function<kj::Promise<void>(std::string, uint64_t)> next =
        [&](std::string key, uint64_t done) -> kj::Promise<void> {
      if (stop) {
        --running;
        return kj::READY_NOW;
      }
      std::vector<std::string> way;
      for (uint64_t n = 1 + random.Below(2); n > 0; --n) {
        way.push_back("p" + std::to_string(way.size() + random.Below(4) * 10) + key);
      }
      auto pause = cluster_->world().machine("client").control().timer().afterDelay(
          static_cast<int64_t>(random.Below(20)) * kj::MILLISECONDS);
      return Tour(key, way)
          .AsPromise()
          .then(
              [&, done](Desk::TourReply&& reply) {
                if (reply.tours != done + 1 || reply.marks != done + 1) ++wrong;
              },
              [&](kj::Exception&&) { ++wrong; })
          .then([pause = kj::mv(pause)]() mutable { return kj::mv(pause); })
          .then([&, key, done] { return next(key, done + 1); });
    };
    std::vector<kj::Promise<void>> callers;
    for (int i = 0; i < 9; ++i) {
      ++running;
      callers.push_back(next("d" + std::to_string(i), 0).eagerlyEvaluate(nullptr));
    }
    for (int i = 0; i < kills; ++i) {
      cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(800))));
      const std::string victim = cluster_->names()[random.Below(3)];
      cluster_->Kill(victim);
      cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
      cluster_->Restart(victim);
      EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
    }
    stop = true;
    EXPECT_TRUE(cluster_->RunUntil([&] { return running == 0; }));
    return wrong;
  }

  DeskOffice office_;
};

TEST_P(ReentrantTest, ACallThatComesBackRunsWithinTheTurnThatWaits) {
  Start({"a", "b", "c"});
  auto reply = cluster_->Await(Tour("x", {"y", "z"}));
  EXPECT_EQ(reply.tours, 1u);
  EXPECT_EQ(reply.marks, 1u);
  // By one that was told nothing of it, too.
  EXPECT_EQ(cluster_->Await(At("x").Mark("")), 1);
  EXPECT_EQ(Look("x").marks, 2u);
}

TEST_P(ReentrantTest, ReadsSeeWhatTheTurnHasChangedSoFar) {
  Start({"a", "b", "c"});
  cluster_->Await(Quietly("x", {"y"}, "seen"));
  cluster_->Await(Quietly("x", {"y"}, "look"));
  const auto look = Look("x");
  EXPECT_EQ(look.halves, 2u);
  EXPECT_EQ(look.tours, 2u);
  EXPECT_EQ(look.marks, 0u);
}

TEST_P(ReentrantTest, NobodyElseGetsIn) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  auto tour = Quietly("x", {"y"}, "wait").eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  bool marked = false, looked = false;
  auto mark =
      At("x").Mark("").AsPromise().then([&](int64_t) { marked = true; }).eagerlyEvaluate(nullptr);
  auto look =
      At("x").Look().AsPromise().then([&](auto&&) { looked = true; }).eagerlyEvaluate(nullptr);
  // Another turn that waits for itself.
  auto other = Quietly("x", {"y"}).eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  EXPECT_FALSE(marked || looked);
  open = true;
  cluster_->Await(kj::mv(tour));
  cluster_->Await(kj::mv(mark));
  cluster_->Await(kj::mv(look));
  cluster_->Await(kj::mv(other));
  EXPECT_EQ(Look("x").marks, 3u);
}

TEST_P(ReentrantTest, OneWithinAnotherRunsFirst) {
  Start({"a", "b", "c"});
  cluster_->Await(Quietly("x", {"y"}, "again"));
  const auto look = Look("x");
  EXPECT_EQ(look.marks, 2u);
  EXPECT_EQ(look.tours, 1u);
}

TEST_P(ReentrantTest, OneThatFailsBeforeItChangesAnythingHarmsNothing) {
  Start({"a", "b", "c"});
  const auto reply = cluster_->Await(Tour("x", {"y"}, "fail"));
  EXPECT_EQ(reply.tours, 1u);
  EXPECT_EQ(Look("x").marks, 0u);
}

TEST_P(ReentrantTest, OneThatFailsAfterItHasChangedSomethingUndoesTheTurn) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "mark and fail")), HasSubstr("marked, alas"));
  const auto look = Look("x");
  EXPECT_EQ(look.halves, 0u);
  EXPECT_EQ(look.marks, 0u);
}

TEST_P(ReentrantTest, WhoWaitsForATurnThatWasUndoneSoIsToldWhy) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "mark and fail, softly")),
              AllOf(HasSubstr("the turn is undone, for a method that ran within it had changed"),
                    HasSubstr("Desk/x"), HasSubstr("marked, alas")));
  EXPECT_EQ(Look("x").tours, 0u);
}

TEST_P(ReentrantTest, ATurnThatIsOverWaitsForWhatRunsWithinIt) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  office_.leaves_early = true;
  bool over = false;
  auto tour = Quietly("x", {"x2"}, "wait").then([&] { over = true; }).eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  office_.leaves_early = false;
  open = true;
  cluster_->Await(kj::mv(tour));
  // Within the turn, or, where that was over before the call had come, after it.
  EXPECT_TRUE(cluster_->RunUntil([&] { return Look("x").marks == 1; }));
  EXPECT_EQ(Look("x").tours, 1u);
}

TEST_P(ReentrantTest, ATurnThatNeverEndsIsUndoneWithWhatRunsWithinIt) {
  Start({"a", "b", "c"});
  office_.gate = [] { return kj::Promise<void>(kj::NEVER_DONE); };
  auto tour = Quietly("x", {"y"}, "wait").eagerlyEvaluate(nullptr);
  EXPECT_THAT(ErrorOf(kj::mv(tour), absl::Minutes(2)), HasSubstr("still running"));
  EXPECT_TRUE(cluster_->RunUntil(
      [&] {
        return cluster_->Await(At("x").WithDeadline(absl::Minutes(2)).Look(), absl::Minutes(3))
                   .marks == 0;
      },
      absl::Minutes(3)));
  EXPECT_EQ(Look("x").halves, 0u);
  EXPECT_EQ(cluster_->Await(Tour("x", {"z"})).tours, 1u);
}

TEST_P(ReentrantTest, WhatItTellsLeavesThoughTheTurnFails) {
  Start({"a", "b", "c"});
  cluster_->Await(Quietly("x", {"y"}, "tell"));
  EXPECT_TRUE(cluster_->RunUntil([&] { return Look("ledger").told == 1; }));
}

TEST_P(ReentrantTest, IsCutShortWithItsNodeAndTakesEffectOnce) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  auto tour = Tour("x", {"y"}, "wait").AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill(cluster_->PrimaryOf({capnp::typeId<Desk>(), "x"}));
  cluster_->Run(absl::Seconds(1));
  open = true;
  const auto reply = cluster_->Await(kj::mv(tour));
  EXPECT_EQ(reply.tours, 1u);
  EXPECT_EQ(reply.marks, 1u);
}

TEST_P(ReentrantTest, EachIsDoneOnceThroughKills) {
  EXPECT_EQ(WrongThroughKills(kNoMutations), 0u);
}

TEST_P(ReentrantTest, OneThatIsNotKeptWithItsRecordIsFoundOut) {
  ReplicaMutations mutations;
  mutations.nested_not_kept = true;
  EXPECT_GT(WrongThroughKills(mutations, 10), 0u);
}

// ---- What the turn has done beside is not kept by what keeps nothing itself

TEST_P(ReentrantTest, WhatTheTurnTellsWaitsForItsEnd) {
  Start({"a", "b", "c"});
  office_.tour = "tell, fail";
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "look")), HasSubstr("no tour for you"));
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(Look("ledger").told, 0u);
}

TEST_P(ReentrantTest, ThatTheTurnAsksForResumeIsNotKeptBeforeItsEnd) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  office_.tour = "resume";
  office_.then = "late";
  auto tour = Quietly("x", {"y"}, "look").eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  office_.tour = "";  // The next run of it does not ask.
  cluster_->Kill(cluster_->PrimaryOf({capnp::typeId<Desk>(), "x"}));
  cluster_->Run(absl::Seconds(2));
  open = true;
  cluster_->Await(kj::mv(tour));
  EXPECT_EQ(office_.resumed, 0u);
}

TEST_P(ReentrantTest, NothingIsKeptOfATurnThatIsToBeUndone) {
  Start({"a", "b", "c"});
  office_.then = "other";
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "mark and fail, softly")),
              HasSubstr("the turn is undone"));
  const auto look = Look("x");
  EXPECT_EQ(look.halves, 0u);
  EXPECT_EQ(look.marks, 0u);
  EXPECT_EQ(look.tours, 0u);
}

class ReentrantLimitTest : public ReentrantTest {
 protected:
  ReentrantLimitTest() : ReentrantTest(absl::Seconds(5)) {}
};

TEST_P(ReentrantLimitTest, WhatWaitsToRunWithinATurnThatIsCutShortRunsAfterIt) {
  Start({"a", "b", "c"});
  office_.gate = [] { return kj::Promise<void>(kj::NEVER_DONE); };
  office_.tour = "both";
  office_.then = "slow";
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "wait")), HasSubstr("has not ended within 5s"));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Look("x").halves, 0u);
  EXPECT_EQ(Look("x").marks, 1u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReentrantLimitTest, ::testing::ValuesIn(SeedsOr(1, 3)));

TEST_P(ReentrantTest, OneCannotEraseTheActor) {
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(Quietly("x", {"y"}, "erase")),
              HasSubstr("called Erase() in a method that runs within another turn"));
}

TEST_P(ReentrantTest, AsManyWaitForOneWithinATurnAsForATurn) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  office_.tour = "flood";
  std::string error;
  auto tour = Quietly("x", {"y"}, "wait").catch_([&](kj::Exception&& e) { error = Words(e); });
  cluster_->Run(absl::Seconds(3));
  open = true;
  cluster_->Await(tour.then([] { return 0; }));
  EXPECT_THAT(error, HasSubstr("the mailbox of Desk/x is full (1024 calls wait"));
}

TEST_P(ReentrantTest, AMoveDoesNotHoldItUp) {
  Start({"a", "b", "c"});
  bool open = false;
  office_.gate = Gate(open);
  office_.then = "mark";
  office_.again = "{p}again";  // In the shard that moves.
  bool over = false;
  auto tour = Quietly("{p}x", {"y"}, "late").then([&] { over = true; }).eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(500));
  const ActorId x{capnp::typeId<Desk>(), "{p}x"};
  const std::string from = cluster_->PrimaryOf(x);
  cluster_->Leave(from);
  cluster_->Run(absl::Milliseconds(200));
  open = true;
  EXPECT_TRUE(cluster_->RunUntil([&] { return over; }, absl::Seconds(2)));
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->PrimaryOf(x) != from; }, absl::Seconds(2)));
  EXPECT_EQ(Look("{p}x").marks, 2u);
}

// Beside the matter, but a desk is at hand.
TEST_P(ReentrantTest, AnActorGivesKeysThatAreInItsOwnShard) {
  Start({"a", "b", "c"});
  const auto map = cluster_->NewestMap();
  auto shard = [&](uint64_t type, const std::string& key) { return ShardOf({type, key}, *map); };
  for (const char* key : {"x", "y", "{cart7}/items"}) {
    const auto beside = cluster_->Await(At(key).Beside("part"));
    EXPECT_EQ(shard(capnp::typeId<Counter>(), beside), shard(capnp::typeId<Desk>(), key));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReentrantTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
