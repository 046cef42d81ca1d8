// Calls to a pool are run by whoever is free, on any node that hosts its type, and again elsewhere
// when that node dies.
#include <set>

#include "../seeds.h"
#include "cluster_fixture.h"
#include "mill.h"

namespace troupe {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class PoolTest : public ClusterFixture {
 protected:
  PoolTest() {
    yard_.pause = [this](uint32_t milliseconds) {
      auto& timer = cluster_->world().machine("client").control().timer();
      return timer.afterDelay(milliseconds * kj::MILLISECONDS);
    };
  }
  void Host(size_t pool_size = 64) {
    registry_.Host<MillActor>([this] { return kj::heap<MillActor>(yard_); },
                              {.idle_timeout = absl::Seconds(5), .pool_size = pool_size});
    registry_.Host<MillerActor>();
  }
  Mill::Ref mills() { return client_->Pool<Mill>(); }
  kj::Promise<void> Grind(uint32_t milliseconds) {
    return mills().Grind(1, milliseconds).AsPromise().ignoreResult();
  }
  // A new client has a link to one node; the others follow with its first calls.
  void MeetAllNodes() {
    cluster_->Await(Grind(1));
    cluster_->Run(absl::Milliseconds(100));
  }
  absl::Time Now() { return cluster_->world().Now(); }

  MillYard yard_;
};

TEST_P(PoolTest, RunsAsManyAtATimeAsItMay) {
  Host(2);
  Start({"a"});
  const auto start = Now();
  kj::Vector<kj::Promise<void>> ground;
  for (int i = 0; i < 20; ++i) ground.add(Grind(100));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
  const auto loops = static_cast<int>(yard_.most) / 2;
  EXPECT_GE(loops, 1);
  EXPECT_EQ(yard_.most, 2u * loops);
  EXPECT_GE(Now() - start, absl::Milliseconds(900 / loops));
  EXPECT_EQ(yard_.built, yard_.most);
  EXPECT_EQ(cluster_->Await(mills().Grind(21, 1)), 42u);
}

TEST_P(PoolTest, SpreadsOverTheNodesThatHostIt) {
  Host(1);
  Start({"a", "b", "c"});
  MeetAllNodes();
  kj::Vector<kj::Promise<void>> ground;
  for (int i = 0; i < 60; ++i) ground.add(Grind(100));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
  EXPECT_GE(yard_.most, 3u);
}

TEST_P(PoolTest, SpreadsOverTheLoopsOfEachNode) {
  Host(1);
  auto options = Options();
  options.workers = 2;
  Start({"a", "b"}, options);
  MeetAllNodes();
  kj::Vector<kj::Promise<void>> ground;
  for (int i = 0; i < 60; ++i) ground.add(Grind(100));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
  EXPECT_EQ(yard_.most, 4u);
}

TEST_P(PoolTest, OfAnActorIsThatOfItsOwnNode) {
  Host(1);
  Start({"a", "b", "c"});
  EXPECT_EQ(cluster_->Await(client_->Get<Miller>("m").Work(12)), 24u);
  const auto here = yard_.most;
  MeetAllNodes();
  yard_.most = 0;
  kj::Vector<kj::Promise<void>> ground;
  for (int i = 0; i < 60; ++i) ground.add(Grind(100));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
  EXPECT_EQ(yard_.most, 3 * here);
}

TEST_P(PoolTest, ACallIsRunAgainElsewhereWhenItsNodeDies) {
  Host();
  Start({"a", "b", "c"});
  for (const char* victim : {"a", "b", "c"}) {
    MeetAllNodes();
    yard_.begun = 0;
    kj::Vector<kj::Promise<void>> ground;
    for (int i = 0; i < 30; ++i) ground.add(Grind(1000));
    cluster_->Run(absl::Milliseconds(500));
    EXPECT_EQ(yard_.begun, 30u);
    cluster_->Kill(victim);
    cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
    EXPECT_GT(yard_.begun, 30u);
    cluster_->Restart(victim);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
}

TEST_P(PoolTest, LosesNoCallWhileNodesLeaveOneAfterTheOther) {
  Host();
  Start({"a", "b", "c"});
  kj::Vector<kj::Promise<void>> ground;
  for (int i = 0; i < 30; ++i) ground.add(Grind(3000));
  cluster_->Run(absl::Milliseconds(500));
  cluster_->Leave("b");
  for (int i = 0; i < 30; ++i) ground.add(Grind(10));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
}

TEST_P(PoolTest, ItsActorsCallOthers) {
  Host();
  Start({"a", "b", "c"});
  EXPECT_EQ(cluster_->Await(mills().Lend("c", 5)), 5u);
  EXPECT_EQ(cluster_->Await(mills().Lend("c", 5)), 10u);
}

TEST_P(PoolTest, ACallOfItThatComesBackToWhoWaitsIsACycle) {
  Host();
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(client_->Get<Miller>("m").Ask().AsPromise().ignoreResult()),
              HasSubstr("call cycle: Miller/m -> Miller/m"));
}

TEST_P(PoolTest, OneThatFailsIsReplaced) {
  Host(1);
  Start({"a"});
  EXPECT_THAT(ErrorOf(mills().Misuse("fail").AsPromise()), HasSubstr("the stone is worn"));
  const auto built = yard_.built;
  for (int i = 0; i < 20; ++i) cluster_->Await(Grind(1));
  EXPECT_GT(yard_.built, built);
}

TEST_P(PoolTest, OneThatNeverEndsIsReplaced) {
  registry_.Host<MillActor>([this] { return kj::heap<MillActor>(yard_); },
                            {.turn_limit = absl::Seconds(5), .pool_size = 1});
  Start({"a"});
  auto pause =
      std::exchange(yard_.pause, [](uint32_t) { return kj::Promise<void>(kj::NEVER_DONE); });
  EXPECT_THAT(ErrorOf(Grind(1)), HasSubstr("Mill.grind of the pool Mill has not ended within 5s"));
  yard_.pause = std::move(pause);
  for (int i = 0; i < 20; ++i) cluster_->Await(Grind(1));
}

TEST_P(PoolTest, ThoseThatAreIdleGo) {
  Host();
  Start({"a"});
  auto built = [&] {
    kj::Vector<kj::Promise<void>> ground;
    for (int i = 0; i < 20; ++i) ground.add(Grind(1));
    cluster_->Await(kj::joinPromises(ground.releaseAsArray()));
    return yard_.built;
  };
  const auto before = built();
  EXPECT_EQ(built(), before);
  cluster_->Run(absl::Seconds(6));
  EXPECT_EQ(built(), 2 * before);
}

TEST_P(PoolTest, RefusesWhatItCannotKeep) {
  Host();
  Start({"a", "b", "c"});
  auto misuse = [&](const char* how) { return ErrorOf(mills().Misuse(how).AsPromise()); };
  EXPECT_THAT(misuse("tell"),
              HasSubstr("an actor of the pool Mill called Tell(): it keeps nothing"));
  EXPECT_THAT(misuse("remind"), HasSubstr("called SetReminder()"));
  EXPECT_THAT(misuse("persist"), HasSubstr("called Persisted()"));
  EXPECT_THAT(ErrorOf(client_->Pool<Miller>().Work(1).AsPromise().ignoreResult()),
              HasSubstr("actors of type Miller have state, so there is no pool of them"));
}

TEST_P(PoolTest, OfATypeThatNobodyHostsSaysSo) {
  registry_.Host<MillerActor>();
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(Grind(1)), HasSubstr("are hosted by any node; hosted are: "));
}

TEST_P(PoolTest, IsFullAtItsBound) {
  Host(1);
  Start({"a"});
  kj::Vector<kj::Promise<void>> ground;
  std::set<std::string> errors;
  for (int i = 0; i < 10000; ++i) {
    ground.add(Grind(50'000)
                   .catch_([&](kj::Exception&& e) { errors.insert(Words(e)); })
                   .eagerlyEvaluate(nullptr));
  }
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(errors, Contains(HasSubstr("the pool of Mill is full: all 1 of its actors here are "
                                         "busy, and 1024 calls wait")));
  cluster_->Await(kj::joinPromises(ground.releaseAsArray()), absl::Seconds(100));
  EXPECT_THAT(errors, Contains(HasSubstr("a call to the pool of Mill found none of its 1 actors "
                                         "here free before its deadline, as did ")));
  EXPECT_THAT(errors, Contains(HasSubstr("Mill.grind of the pool Mill is still running at its "
                                         "deadline")));
}

INSTANTIATE_TEST_SUITE_P(Seeds, PoolTest, ::testing::ValuesIn(SeedsOr(1, 3)));

}  // namespace
}  // namespace troupe
