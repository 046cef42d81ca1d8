// Topics: what is published reaches subscribers once and in order, and nobody waits for the slow.
#include "cluster_fixture.h"
#include "news.h"
#include "troupe/actors/shard_of.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<uint64_t> From(uint64_t first, uint64_t last) {
  std::vector<uint64_t> out;
  for (uint64_t i = first; i <= last; ++i) out.push_back(i);
  return out;
}

class TopicTest : public ClusterFixture {
 protected:
  struct Read {
    std::vector<uint64_t> numbers;
    uint64_t missed;
    std::string subjects;
  };

  void Begin(TopicOptions options = {}) {
    registry_.Host<ReaderActor>([this] { return kj::heap<ReaderActor>(office_); });
    registry_.Host<EditorActor>();
    registry_.Host<Topic>([options] { return kj::heap<Topic>(options); },
                          {.idle_timeout = absl::Seconds(20)});
    Start(nodes_);
    Connect(*client_);
  }
  void Connect(Client& client) {
    cluster_->Await(client.Connected(absl::Seconds(5)));
    cluster_->Run(absl::Milliseconds(200));
  }
  ClientTopic<News> Daily(const std::string& name = "daily") { return client_->Topic<News>(name); }
  uint64_t Follow(const std::string& reader, const std::string& topic = "daily") {
    return cluster_->Await(client_->Get<Reader>(reader).Follow(topic));
  }
  // Of the next numbers.
  uint64_t Publish(uint32_t items = 1, const std::string& text = "news") {
    return cluster_->Await(Daily().Publish([&](auto& all) {
      for (uint32_t i = 0; i < items; ++i) all.Item(++published_, text);
    }));
  }
  Read Seen(const std::string& reader) {
    return cluster_->Await(client_->Get<Reader>(reader).Read().AsPromise().then([](auto&& r) {
      Read out{{}, r.getMissed(), r.getSubjects().cStr()};
      for (auto number : r.getNumbers()) out.numbers.push_back(number);
      return out;
    }));
  }
  bool Comes(const std::string& reader, size_t count, absl::Duration limit = absl::Seconds(30)) {
    return cluster_->RunUntil([&] { return Seen(reader).numbers.size() >= count; }, limit);
  }
  ActorId TopicId(const std::string& name = "daily") { return Daily(name).id(); }
  void KillTopic() {
    const auto node = cluster_->PrimaryOf(TopicId());
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(300));
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  absl::Time Now() { return cluster_->world().machine("client").control().clock().Now(); }

  std::vector<std::string> nodes_ = {"a", "b", "c"};
  NewsOffice office_;
  uint64_t published_ = 0;
};

TEST_P(TopicTest, WhatIsPublishedReachesAllActorsInOrder) {
  Begin();
  EXPECT_EQ(Follow("ann"), 1u);
  EXPECT_EQ(Follow("bob"), 1u);
  EXPECT_EQ(Publish(), 1u);
  EXPECT_EQ(Publish(3), 2u);
  EXPECT_EQ(Follow("late"), 5u);
  EXPECT_EQ(Publish(), 5u);
  EXPECT_TRUE(Comes("ann", 5) && Comes("bob", 5) && Comes("late", 1));
  cluster_->Run(absl::Seconds(10));
  EXPECT_EQ(Seen("ann").numbers, From(1, 5));
  EXPECT_EQ(Seen("bob").numbers, From(1, 5));
  EXPECT_THAT(Seen("late").numbers, ElementsAre(5));
}

TEST_P(TopicTest, TopicsOfOtherNamesAndLanguagesAreOthers) {
  Begin();
  Follow("ann");
  cluster_->Await(Daily("weekly").Publish([](auto& all) { all.Item(7, ""); }));
  cluster_->Await(client_->Topic<Reader>("daily").Publish([](auto& all) { all.Item(8, ""); }));
  Publish();
  EXPECT_TRUE(Comes("ann", 1));
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(Seen("ann").numbers, ElementsAre(1));
  EXPECT_NE(TopicId(), (client_->Topic<Reader>("daily").id()));
}

TEST_P(TopicTest, WhoUnsubscribesGetsNoMore) {
  Begin();
  Follow("ann");
  Publish();
  EXPECT_TRUE(Comes("ann", 1));
  EXPECT_TRUE(cluster_->Await(client_->Get<Reader>("ann").Forget("daily")));
  EXPECT_FALSE(cluster_->Await(client_->Get<Reader>("ann").Forget("daily")));
  Publish(5);
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(Seen("ann").numbers, ElementsAre(1));
}

TEST_P(TopicTest, RefsArePublished) {
  Begin();
  Follow("ann");
  News::Ref subject = client_->Get<Reader>("carl");
  cluster_->Await(Daily().Publish([&](auto& all) { all.About(subject); }));
  EXPECT_TRUE(cluster_->RunUntil([&] { return !Seen("ann").subjects.empty(); }));
  EXPECT_THAT(Seen("ann").subjects, HasSubstr("/carl;"));
}

TEST_P(TopicTest, APublishOfATurnThatFailsPublishesNothing) {
  Begin();
  Follow("ann");
  auto editor = client_->Get<Editor>("ed");
  EXPECT_EQ(cluster_->Await(editor.Print("daily", 2, false)), 2u);
  EXPECT_THAT(ErrorOf(editor.Print("daily", 2, true).AsPromise().ignoreResult()),
              HasSubstr("told to fail"));
  EXPECT_EQ(cluster_->Await(editor.Print("daily", 1, false)), 3u);
  EXPECT_EQ(cluster_->Await(editor.Ask("daily")), 4u);
  EXPECT_TRUE(Comes("ann", 4));
  cluster_->Run(absl::Seconds(2));
  EXPECT_EQ(Seen("ann").numbers, From(1, 4));
}

TEST_P(TopicTest, ThroughKillsNothingIsLostOrDoubledOrOutOfOrder) {
  Begin();
  Random random(GetParam());
  const std::vector<std::string> readers = {"ann", "bob", "carl", "dora"};
  for (const auto& reader : readers) Follow(reader);
  bool stop = false;
  auto& timer = cluster_->world().machine("client").control().timer();
  auto publish = [&]() -> Task<void> {
    while (!stop) {
      auto sent = Daily().Publish([&](auto& all) { all.Item(++published_, "news"); });
      co_await sent;
      auto pause = timer.afterDelay(static_cast<int64_t>(random.Below(20)) * kj::MILLISECONDS);
      co_await pause;
    }
  };
  auto publishing = publish().AsPromise().eagerlyEvaluate(nullptr);
  for (int kill = 0; kill < 8; ++kill) {
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(700))));
    // The topic's, or a reader's.
    const auto node =
        kill % 2 == 0 ? cluster_->PrimaryOf(TopicId()) : cluster_->names()[random.Below(3)];
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  stop = true;
  cluster_->Await(kj::mv(publishing));
  EXPECT_GT(published_, 200u);
  for (const auto& reader : readers) {
    EXPECT_TRUE(Comes(reader, published_)) << reader;
    cluster_->Run(absl::Seconds(1));
    EXPECT_EQ(Seen(reader).numbers, From(1, published_)) << reader;
  }
}

TEST_P(TopicTest, GoesOnAfterAFailoverWithoutBeingCalled) {
  Begin();
  Follow("ann");
  office_.overloaded["ann"] = 1000000;
  Publish(10);
  cluster_->Run(absl::Milliseconds(500));
  KillTopic();
  office_.overloaded.clear();
  EXPECT_TRUE(Comes("ann", 10));
  EXPECT_EQ(Seen("ann").numbers, From(1, 10));
}

TEST_P(TopicTest, NothingIsDeliveredBeforeItIsSafe) {
  nodes_ = {"a", "b", "c", "d", "e", "f"};
  Begin();
  const auto map = cluster_->NewestMap();
  auto shard = [&](const ActorId& id) -> const ShardEntry& {
    return map->shards[ShardOf(id, *map)];
  };
  // A reader that is led by a node without a copy of the topic.
  std::string reader;
  for (int i = 0; i < 1000; ++i) {
    reader = "reader" + std::to_string(i);
    const auto& copies = shard(TopicId()).isr;
    if (std::ranges::find(copies, shard({capnp::typeId<Reader>(), reader}).primary) == copies.end())
      break;
  }
  Follow(reader);
  Publish();  // Delivery goes on beside the turns from here on.
  ASSERT_TRUE(Comes(reader, 1));
  cluster_->Run(absl::Seconds(1));
  const auto primary = cluster_->PrimaryOf(TopicId());
  for (CopyId copy : shard(TopicId()).isr) {
    const auto other = map->FindBoot(copy)->name;
    if (other != primary) cluster_->Cut(primary, other);
  }
  auto published = Daily()
                       .Publish([](auto& all) { all.Item(1, "unsafe"); })
                       .AsPromise()
                       .eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Milliseconds(50));
  EXPECT_THAT(Seen(reader).numbers, SizeIs(1));
  cluster_->Heal();
  cluster_->Await(kj::mv(published));
  EXPECT_TRUE(Comes(reader, 2));
  EXPECT_THAT(Seen(reader).numbers, SizeIs(2));
}

TEST_P(TopicTest, ASubscriberThatIsStuckHoldsUpNobody) {
  Begin();
  for (const char* reader : {"ann", "stuck", "bob"}) Follow(reader);
  office_.stuck.insert("stuck");
  for (int i = 0; i < 200; ++i) {
    const auto before = Now();
    Publish();
    EXPECT_LT(Now() - before, absl::Milliseconds(50));
  }
  EXPECT_TRUE(Comes("ann", 200, absl::Seconds(2)) && Comes("bob", 200, absl::Seconds(2)));
  EXPECT_EQ(Seen("bob").numbers, From(1, 200));
}

TEST_P(TopicTest, WhatFailsForNowComesAgainAndWhatFailsForGoodIsPassedOver) {
  Begin();
  Follow("ann");
  office_.overloaded["ann"] = 3;
  Publish(2);
  EXPECT_TRUE(Comes("ann", 2));
  office_.failing["ann"] = 1;
  Publish(2);
  EXPECT_TRUE(Comes("ann", 3));
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(Seen("ann").numbers, ElementsAre(1, 2, 4));
}

TEST_P(TopicTest, WhoFallsBehindTheLogIsToldHowManyItHasMissed) {
  Begin({.messages_max = 20});
  Follow("ann");
  Follow("slow");
  office_.overloaded["slow"] = 1000000;
  for (int i = 0; i < 50; ++i) Publish();
  KillTopic();
  for (int i = 0; i < 50; ++i) Publish();
  office_.overloaded.clear();
  EXPECT_TRUE(Comes("ann", 100));
  EXPECT_TRUE(Comes("slow", 20));
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] { return Seen("slow").numbers.back() == 101; }));
  const auto seen = Seen("slow");
  EXPECT_EQ(seen.numbers, From(81, 101));
  EXPECT_EQ(seen.missed, 80u);
  EXPECT_EQ(Seen("ann").missed, 0u);
}

TEST_P(TopicTest, SubscribersGetWhatTheLogHasFromANumberOn) {
  Begin({.messages_max = 10});
  for (int i = 0; i < 30; ++i) Publish();
  News::Ref ann = client_->Get<Reader>("ann"), bob = client_->Get<Reader>("bob");
  EXPECT_EQ(cluster_->Await(Daily().Subscribe(ann, {.from = 25})), 25u);
  EXPECT_EQ(cluster_->Await(Daily().Subscribe(bob, {.from = 1})), 21u);
  EXPECT_TRUE(Comes("ann", 6) && Comes("bob", 10));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Seen("ann").numbers, From(25, 30));
  EXPECT_EQ(Seen("bob").numbers, From(21, 30));
  EXPECT_EQ(Seen("bob").missed, 20u);
  // Again: without a number it goes on; with one it gets them once more.
  EXPECT_EQ(cluster_->Await(Daily().Subscribe(ann)), 31u);
  EXPECT_EQ(cluster_->Await(Daily().Subscribe(ann, {.from = 29})), 29u);
  EXPECT_TRUE(Comes("ann", 8));
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(Seen("ann").numbers, ElementsAre(25, 26, 27, 28, 29, 30, 29, 30));
}

TEST_P(TopicTest, WhoDoesNotWantToKnowWhatItMissedGetsTheRest) {
  Begin({.messages_max = 10});
  auto orders = client_->Topic<Editor>("orders");  // No Listener.
  for (int i = 0; i < 30; ++i) {
    cluster_->Await(orders.Publish([](auto& all) { all.Print("nowhere", 1, false); }));
  }
  auto editor = client_->Get<Editor>("ed");
  EXPECT_EQ(cluster_->Await(orders.Subscribe(editor, {.from = 1})), 21u);
  auto printed = [&] { return cluster_->Await(editor.Print("nowhere", 0, false)); };
  EXPECT_TRUE(cluster_->RunUntil([&] { return printed() == 10; }));
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(printed(), 10u);
}

TEST_P(TopicTest, BoundsAreNamed) {
  Begin({.messages_max = 10, .bytes_max = 10000, .subscribers_max = 2});
  Follow("ann");
  Follow("bob");
  EXPECT_THAT(ErrorOf(client_->Get<Reader>("carl").Follow("daily").AsPromise().ignoreResult()),
              HasSubstr("2 have subscribed to the topic, and no more can"));
  Follow("ann");  // Is there already.
  auto too_many = Daily().Publish([](auto& all) {
    for (int i = 0; i < 11; ++i) all.Item(1, "");
  });
  EXPECT_THAT(ErrorOf(kj::mv(too_many).AsPromise().ignoreResult()),
              HasSubstr("11 messages with 792 bytes were published at once; the log"));
  auto too_large = Daily().Publish([](auto& all) { all.Item(1, std::string(20000, 'x')); });
  EXPECT_THAT(ErrorOf(kj::mv(too_large).AsPromise().ignoreResult()),
              HasSubstr("were published at once"));
  Publish();
  EXPECT_TRUE(Comes("ann", 1));
  for (const std::string& name : {std::string(), std::string(901, 'x')}) {
    auto refused = kj::runCatchingExceptions([&] { Daily(name); });
    EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)), HasSubstr("the name of a topic has"));
  }
  auto refused = kj::runCatchingExceptions([&] { Topic({.messages_max = 0}); });
  EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)), HasSubstr("the log of a topic is"));
}

TEST_P(TopicTest, SubscribersRememberNothingOfWhatTheyHaveTaken) {
  Begin();
  Follow("ann");
  // 16,384 would be all that an actor may remember.
  office_.failing["ann"] = 18000;  // It keeps nothing of its own.
  for (uint64_t i = 1; i <= 18; ++i) {
    Publish(1000);
    ASSERT_TRUE(cluster_->RunUntil([&] { return office_.items == 1000 * i; }));
  }
  Publish();
  EXPECT_TRUE(Comes("ann", 1));
}

// ---- Observers

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
