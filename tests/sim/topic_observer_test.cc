// Topics: what clients' observers read of them, also when they were away.
#include "topic_fixture.h"

namespace troupe {
namespace {

using ::testing::SizeIs;

TEST_P(TopicTest, AnObserverReadsWhileItIsSubscribed) {
  Begin();
  auto screen = client_->Observe<Screen>();
  Publish();
  auto sub = cluster_->Await(Daily().Subscribe(screen));
  EXPECT_EQ(sub.next(), 2u);
  Publish(3);
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 4; }));
  EXPECT_EQ(screen->numbers, From(2, 5));
  EXPECT_EQ(sub.next(), 6u);
  sub = {};
  cluster_->Run(absl::Seconds(1));
  Publish();
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(screen->numbers, SizeIs(4));
}

TEST_P(TopicTest, AnObserverReadsOnceAndInOrderThroughKills) {
  Begin();
  Random random(GetParam());
  auto screen = client_->Observe<Screen>();
  auto sub = cluster_->Await(Daily().Subscribe(screen));
  for (int kill = 0; kill < 6; ++kill) {
    std::vector<kj::Promise<uint64_t>> sent;
    for (int i = 0; i < 40; ++i) {
      sent.push_back(Daily()
                         .Publish([&](auto& all) { all.Item(++published_, "news"); })
                         .AsPromise()
                         .eagerlyEvaluate(nullptr));
    }
    cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(20000))));
    KillTopic();
    for (auto& one : sent) cluster_->Await(kj::mv(one));
  }
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() >= published_; }));
  EXPECT_EQ(screen->numbers, From(1, published_));
  EXPECT_EQ(sub.missed(), 0u);
}

TEST_P(TopicTest, AnObserverGoesOnWithTheLogAfterItsClientWasAway) {
  Begin({.messages_max = 50});
  auto& other = cluster_->AddClient("other");
  Connect(other);
  auto screen = other.Observe<Screen>();
  auto sub = cluster_->Await(other.Topic<News>("daily").Subscribe(screen));
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 1; }));
  cluster_->Isolate("other");
  for (int i = 0; i < 100; ++i) Publish();
  cluster_->Run(absl::Minutes(3));  // Long enough to be put out.
  EXPECT_EQ(cluster_->Await(
                client_->Get<schema::Topic>(TopicId().key).lookRequest().send().then([](auto&& r) {
                  return r.getSubscribers();
                })),
            0u);
  cluster_->Heal();
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 51; }, absl::Minutes(2)));
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 52; }));
  auto expected = From(52, 102);
  expected.insert(expected.begin(), 1);
  EXPECT_EQ(screen->numbers, expected);
  EXPECT_EQ(sub.missed(), 50u);
  EXPECT_EQ(screen->missed, 50u);
}

TEST_P(TopicTest, ASlowObserverLagsAndThenMissesTheOldest) {
  Begin({.messages_max = 50});
  auto screen = client_->Observe<Screen>();
  kj::Own<kj::PromiseFulfiller<void>> held;
  screen->on_item = [&] {
    auto paf = kj::newPromiseAndFulfiller<void>();
    held = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  };
  auto sub = cluster_->Await(Daily().Subscribe(screen));
  for (int i = 0; i < 100; ++i) Publish();
  screen->on_item = []() -> kj::Promise<void> { return kj::READY_NOW; };
  held->fulfill();
  EXPECT_TRUE(cluster_->RunUntil([&] { return sub.next() == 101; }));
  EXPECT_EQ(screen->numbers.front(), 1u);
  EXPECT_EQ(screen->numbers.back(), 100u);
  EXPECT_EQ(screen->numbers.size() + screen->missed, 100u);
  EXPECT_EQ(screen->missed, sub.missed());
}

TEST_P(TopicTest, AnotherSubscriptionGoesOnFromTheNumberOfTheFirst) {
  Begin();
  auto screen = client_->Observe<Screen>();
  uint64_t next = 0;
  {
    auto sub = cluster_->Await(Daily().Subscribe(screen));
    Publish(3);
    EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 3; }));
    next = sub.next();
  }
  Publish(3);
  auto sub = cluster_->Await(Daily().Subscribe(screen, {.from = next}));
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 7; }));
  EXPECT_EQ(screen->numbers, From(1, 7));
}

TEST_P(TopicTest, ARefOfAnObserverIsASubscriberToo) {
  Begin();
  auto& other = cluster_->AddClient("other");
  Connect(other);
  auto screen = other.Observe<Screen>();
  cluster_->Run(absl::Milliseconds(200));
  News::Ref ref = ReferTo<News>(client_->Origin(), screen.ref().id());
  EXPECT_EQ(cluster_->Await(Daily().Subscribe(ref)), 1u);
  Publish(2);
  KillTopic();
  Publish(2);
  EXPECT_TRUE(cluster_->RunUntil([&] { return screen->numbers.size() == 4; }));
  EXPECT_EQ(screen->numbers, From(1, 4));
  cluster_->RemoveClient("other");
  Publish();
  cluster_->Run(absl::Minutes(2));
  EXPECT_FALSE(cluster_->Await(Daily().Unsubscribe(ref)));  // Put out.
}

INSTANTIATE_TEST_SUITE_P(Seeds, TopicTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
