// Sagas: all steps are done, or those that were are undone, whoever dies.
#include "../seeds.h"
#include "purse_fixture.h"
#include "trip.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SagaTest : public PurseFixture {
 protected:
  SagaTest() {
    registry_.Host<TripActor>([this] { return kj::heap<TripActor>(office_); });
  }

  struct Seen {
    bool open = false, done = false;
    uint32_t failed_step = 0;
    std::string error;
    std::vector<std::string> trouble;
  };
  Seen LookAt(const std::string& trip) {
    return cluster_->Await(client_->Get<Trip>(trip).Look().AsPromise().then([](auto&& reply) {
      Seen seen{
          reply.getOpen(), reply.getDone(), reply.getFailedStep(), reply.getError().cStr(), {}};
      for (auto text : reply.getTrouble()) seen.trouble.emplace_back(text.cStr());
      return seen;
    }));
  }
  Task<void> Book(const std::string& trip, const std::vector<std::string>& stages,
                  const std::string& stuck = "") {
    return client_->Get<Trip>(trip).BookWith([&](Trip::BookParams::Builder params) {
      auto list = params.initStages(static_cast<unsigned>(stages.size()));
      for (unsigned i = 0; i < list.size(); ++i) list.set(i, stages[i]);
      params.setStuck(stuck);
    });
  }
  Seen Ended(const std::string& trip) {
    EXPECT_TRUE(cluster_->RunUntil([&] { return !LookAt(trip).open; }, absl::Minutes(1)));
    return LookAt(trip);
  }

  TripOffice office_;
};

TEST_P(SagaTest, DoesAllSteps) {
  Start({"a", "b", "c"});
  Fund();
  Wait(Book("t", {"p0", "p1", "p2"}));
  EXPECT_TRUE(Ended("t").done);
  for (const char* stage : {"p0", "p1", "p2"}) EXPECT_EQ(Balance(stage), kMoney - 1);
}

TEST_P(SagaTest, UndoesWhatWasDoneBeforeAStepThatFails) {
  Start({"a", "b", "c"});
  Fund();
  Wait(Book("t", {"p0", "p1", "empty", "p2"}));
  const auto seen = Ended("t");
  EXPECT_FALSE(seen.done);
  EXPECT_EQ(seen.failed_step, 2u);
  EXPECT_THAT(seen.error, HasSubstr("there is less in this purse"));
  EXPECT_THAT(seen.trouble, IsEmpty());
  for (const char* stage : {"p0", "p1", "p2"}) EXPECT_EQ(Balance(stage), kMoney);
  EXPECT_EQ(Look("p0").deposits, 2u);  // By Fund(), and undone once.
  EXPECT_EQ(Look("p2").deposits, 1u);
}

TEST_P(SagaTest, ReportsWhatCannotBeUndoneAndUndoesTheRest) {
  Start({"a", "b", "c"});
  Fund();
  Wait(Book("t", {"p0", "p1", "empty"}, "p1"));
  EXPECT_THAT(Ended("t").trouble,
              ElementsAre(HasSubstr("step 1 is not undone: there is less in this purse")));
  EXPECT_EQ(Balance("p0"), kMoney);
  EXPECT_EQ(Balance("p1"), kMoney - 1);
}

// A failure of which there is no record decides all the same: the next run, for which the gate is
// open, does not take it back.
TEST_P(SagaTest, DecidesOnce) {
  Start({"a", "b", "c"});
  Fund();
  int failed = 0;
  for (int64_t step = 0; step < 20; ++step) {
    const std::string trip = "t" + std::to_string(step);
    office_.gate_closed = true;
    Wait(Book(trip, {"p0", "gate", "p1"}));
    cluster_->Run(absl::Microseconds(400 * step));
    const std::string victim = cluster_->PrimaryOf({capnp::typeId<Trip>(), trip});
    cluster_->Kill(victim);
    office_.gate_closed = false;
    if (!Ended(trip).done) ++failed;
    EXPECT_EQ(Balance("p0"), Balance("p1")) << step;
    cluster_->Restart(victim);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 20);
}

TEST_P(SagaTest, IsWholeThroughKills) {
  Start({"a", "b", "c"});
  Random random(GetParam());
  int64_t seats = 0;
  for (uint64_t i = 0; i < kPurses; ++i) {
    const auto here = static_cast<int64_t>(random.Below(12));
    cluster_->Await(At(Name(i)).Deposit(here));
    seats += here;
  }
  constexpr int kTrips = 15;
  for (int i = 0; i < kTrips; ++i) {
    std::vector<std::string> stages;
    for (uint64_t n = 0, from = random.Below(kPurses); n < 3; ++n) {
      stages.push_back(Name((from + n) % kPurses));
    }
    Wait(Book("t" + std::to_string(i), stages));
    if (i % 3 != 2) continue;
    cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(4000))));
    const std::string victim = cluster_->names()[random.Below(3)];
    cluster_->Kill(victim);
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1000))));
    cluster_->Restart(victim);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  int64_t taken = 0;
  for (int i = 0; i < kTrips; ++i) {
    const auto seen = Ended("t" + std::to_string(i));
    if (seen.done) taken += 3;
    EXPECT_THAT(seen.trouble, IsEmpty());
  }
  EXPECT_EQ(PlainSum(), seats - taken) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, SagaTest, ::testing::ValuesIn(SeedsOr(1, 10)));

}  // namespace
}  // namespace troupe
