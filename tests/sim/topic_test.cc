// Topics: what is published reaches actors once and in order, and nobody waits for the slow.
#include "topic_fixture.h"
#include "troupe/actors/shard_of.h"
#include "troupe/actors/transaction.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

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

TEST_P(TopicTest, WhatATransactionPublishesIsDeliveredOnceItIsCommitted) {
  Begin();
  Follow("ann");
  Publish();
  ASSERT_TRUE(Comes("ann", 1));
  auto& timer = cluster_->world().machine("client").control().timer();
  auto transact = [&](bool fails) {
    return client_->Transact([this, &timer, fails](Transaction& tx) -> Task<void> {
      auto request = tx.Get<schema::Topic>(TopicId().key).publishRequest();
      TopicMessage message{capnp::typeId<News>(), 0, {}};
      capnp::MallocMessageBuilder params;
      params.initRoot<News::ItemParams>().setNumber(fails ? 666 : 2);
      message.params = Payload::Of(params);
      WriteMessage(message, request.initMessages(1)[0]);
      auto sent = request.send().ignoreResult();
      co_await sent;
      auto pause = timer.afterDelay(300 * kj::MILLISECONDS);
      co_await pause;
      EXPECT_EQ(office_.items, 1u);
      if (fails) co_await Fail("changed my mind");
    });
  };
  EXPECT_THAT(ErrorOf(transact(true).AsPromise()), HasSubstr("changed my mind"));
  cluster_->Await(transact(false));
  EXPECT_TRUE(Comes("ann", 2));
  EXPECT_EQ(Seen("ann").numbers, From(1, 2));
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

TEST_P(TopicTest, WhatIsMissedAgainAndAgainIsCountedOnceThroughKills) {
  Begin({.messages_max = 5});
  Random random(GetParam());
  Follow("slow");
  for (int round = 0; round < 12; ++round) {
    office_.overloaded["slow"] = static_cast<int>(random.Below(4));
    for (uint64_t n = random.Below(12); n > 0; --n) Publish();
    cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(120))));
    if (round % 4 == 3) KillTopic();
  }
  office_.overloaded.clear();
  Publish();
  EXPECT_TRUE(cluster_->RunUntil([&] {
    const auto seen = Seen("slow");
    return !seen.numbers.empty() && seen.numbers.back() == published_;
  }));
  cluster_->Run(absl::Seconds(1));
  const auto seen = Seen("slow");
  EXPECT_TRUE(std::is_sorted(seen.numbers.begin(), seen.numbers.end(), std::less_equal<>()));
  // One that was under way when it left the log counts as missed, and may have arrived.
  EXPECT_GE(seen.numbers.size() + seen.missed, published_);
  EXPECT_LE(seen.numbers.size() + seen.missed, published_ + 12);
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

INSTANTIATE_TEST_SUITE_P(Seeds, TopicTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace troupe
