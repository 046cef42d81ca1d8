// Notices of an end: one each, not lost and not twice, through failures, kills and failovers.
#include <map>

#include "cluster_fixture.h"
#include "guard.h"
#include "troupe/actors/actor_store.h"
#include "troupe/actors/shard_of.h"

namespace troupe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ActorId IdOf(const std::string& key) { return {capnp::typeId<Guard>(), key}; }

class WatchTest : public ClusterFixture {
 protected:
  void Host(ActorTypeOptions options = {.idle_timeout = absl::Milliseconds(300)}) {
    registry_.Host<GuardActor>([this] { return kj::heap<GuardActor>(office_); }, options);
  }

  Guard::Ref At(const std::string& key) { return client_->Get<Guard>(key); }
  Task<void> StartWatch(const std::string& key, const std::vector<std::string>& whom) {
    return At(key).WatchWith([&](Guard::WatchParams::Builder params) {
      auto list = params.initWho(static_cast<unsigned>(whom.size()));
      for (unsigned i = 0; i < list.size(); ++i) list.set(i, At(whom[i]));
    });
  }
  void Watch(const std::string& key, const std::vector<std::string>& whom) {
    cluster_->Await(StartWatch(key, whom));
    for (const auto& who : whom) EXPECT_TRUE(Registered(key, who)) << key << " at " << who;
  }
  std::vector<std::string> Notices(const std::string& key) {
    return cluster_->Await(At(key).Notices().AsPromise().then([](auto&& reply) {
      std::vector<std::string> out;
      for (auto notice : reply.getState().getNotices()) out.push_back(notice.cStr());
      return out;
    }));
  }
  bool Hears(const std::string& key, size_t count, absl::Duration limit = absl::Seconds(20)) {
    return cluster_->RunUntil([&] { return Notices(key).size() >= count; }, limit);
  }

  // What the primary's copy holds; null: nothing.
  WatchSnapshot Held(const std::string& key) {
    WatchSnapshot out;
    const auto node = cluster_->PrimaryOf(IdOf(key));
    if (node.empty() || !cluster_->has(node)) return nullptr;
    cluster_->node(node).ForEachReplica([&](const ShardReplica& replica) {
      if (!replica.serving()) return;
      if (const auto* held = replica.store().Find(IdOf(key))) out = held->watches;
    });
    return out;
  }
  // The watcher knows that it is watched.
  bool Registered(const std::string& watcher, const std::string& who) {
    return cluster_->RunUntil(
        [&] {
          const auto lists = Held(watcher);
          const auto* watch = lists ? WatchTable(lists).Find(IdOf(who)) : nullptr;
          return watch != nullptr && watch->since != 0;
        },
        absl::Seconds(20));
  }
  size_t WatchersOf(const std::string& key) {
    const auto lists = Held(key);
    return lists ? lists->watchers.size() : 0;
  }
  size_t WatchedBy(const std::string& key) {
    const auto lists = Held(key);
    return lists ? lists->watched.size() : 0;
  }

  // The notice of an end is under way when its watch is taken back and another one begins, after
  // the end. The notices that come before the next end.
  size_t HeardOfAnEarlierWatch(const ReplicaMutations& mutations) {
    Host();
    auto options = Options();
    options.node.replica.mutations = &mutations;
    Start({"a", "b", "c"}, options);
    const auto teller = cluster_->PrimaryOf(IdOf("x"));
    std::string watcher;
    for (int i = 0; watcher.empty(); ++i) {
      const std::string key = "w" + std::to_string(i);
      if (cluster_->PrimaryOf(IdOf(key)) != teller) watcher = key;
    }
    Watch(watcher, {"x"});
    const auto node = cluster_->PrimaryOf(IdOf(watcher));
    cluster_->Cut(teller, node);
    cluster_->Await(At("x").Erase());
    EXPECT_TRUE(cluster_->Await(At(watcher).Unwatch(At("x"))));
    cluster_->Await(StartWatch(watcher, {"x"}));
    cluster_->Heal();
    EXPECT_TRUE(Registered(watcher, "x") || mutations.any_watch_ends);
    cluster_->Run(absl::Seconds(3));
    const size_t heard = Notices(watcher).size();
    cluster_->Await(At("x").Erase());
    EXPECT_TRUE(Hears(watcher, 1));
    return heard;
  }

  // Ends of actors while nodes die. How many notices are missing, twice or of nobody.
  uint64_t WrongThroughKills(const ReplicaMutations& mutations, int rounds = 6) {
    constexpr int kWatchers = 5, kTargets = 8;
    Host({.idle_timeout = absl::Milliseconds(200)});
    auto options = Options();
    options.node.replica.mutations = &mutations;
    office_.counts_elsewhere = true;
    Start({"a", "b", "c"}, options);
    Random random(GetParam());
    auto name = [](const char* what, int i) { return what + std::to_string(i); };
    std::vector<std::string> targets;
    for (int i = 0; i < kTargets; ++i) targets.push_back(name("t", i));
    uint64_t wrong = 0, ended = 0;
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < kWatchers; ++i) cluster_->Await(StartWatch(name("w", i), targets));
      for (int i = 0; i < kWatchers; ++i) {
        for (const auto& target : targets) wrong += Registered(name("w", i), target) ? 0 : 1;
      }
      if (wrong > 0) return wrong;
      const std::string victim = cluster_->names()[static_cast<size_t>(round) % 3];
      std::vector<kj::Promise<void>> ends;
      for (const auto& target : targets) {
        ends.push_back(At(target).Erase().AsPromise().eagerlyEvaluate(nullptr));
        ++ended;
        cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(2000))));
        if (random.Chance(0.2) && cluster_->has(victim)) cluster_->Kill(victim);
      }
      cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(4000))));
      if (cluster_->has(victim)) cluster_->Kill(victim);
      for (auto& end : ends) cluster_->Await(end.then([] { return 0; }));
      cluster_->Run(absl::Milliseconds(static_cast<int64_t>(random.Below(1500))));
      cluster_->Restart(victim);
      EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
      for (int i = 0; i < kWatchers; ++i) Hears(name("w", i), ended, absl::Seconds(10));
    }
    cluster_->Run(absl::Seconds(5));
    for (int i = 0; i < kWatchers; ++i) {
      const auto heard = Notices(name("w", i));
      std::map<std::string, int> of;
      for (const auto& notice : heard) ++of[notice];
      for (const auto& target : targets) {
        const int times = of["erased " + target + ": Guard/" + target + " has been erased"];
        wrong += static_cast<uint64_t>(std::abs(times - rounds));
      }
      wrong += heard.size() != ended;
      wrong += Get(name("w", i)) != heard.size();  // Each notice's calls were made once.
    }
    return wrong;
  }

  GuardOffice office_;
};

TEST_P(WatchTest, GivesOneNoticeOfEachEndThroughKills) {
  EXPECT_EQ(WrongThroughKills(kNoMutations), 0u);
}

TEST_P(WatchTest, ThatGoesBeforeItsNoticeHasRunIsFoundOut) {
  ReplicaMutations mutations;
  mutations.notice_outside_batch = true;
  office_.fails_notices["w1"] = 1;
  EXPECT_GT(WrongThroughKills(mutations), 0u);
}

TEST_P(WatchTest, ThatIsNotPartOfTheBatchIsFoundOut) {
  ReplicaMutations mutations;
  mutations.watches_outside_batch = true;
  EXPECT_GT(WrongThroughKills(mutations), 0u);
}

TEST_P(WatchTest, BeginsAnewThoughTheNoticeOfAnEarlierOneIsUnderWay) {
  EXPECT_EQ(HeardOfAnEarlierWatch(kNoMutations), 0u);
}

TEST_P(WatchTest, ThatIsEndedByTheNoticeOfAnEarlierOneIsFoundOut) {
  ReplicaMutations mutations;
  mutations.any_watch_ends = true;
  EXPECT_EQ(HeardOfAnEarlierWatch(mutations), 1u);
}

TEST_P(WatchTest, ToldTwiceIsOneAndAnewAfterItsNotice) {
  Host();
  Start({"a", "b", "c"});
  Watch("w", {"x", "x", "y"});
  Watch("w", {"x"});
  EXPECT_EQ(WatchersOf("x"), 1u);
  cluster_->Await(At("x").Erase());
  ASSERT_TRUE(Hears("w", 1));
  cluster_->Await(At("x").Erase());  // Nobody watches it now.
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(Notices("w"), ElementsAre("erased x: Guard/x has been erased"));
  EXPECT_EQ(WatchedBy("w"), 1u);
  Watch("w", {"x"});
  cluster_->Await(At("x").Erase());
  EXPECT_TRUE(Hears("w", 2));
  EXPECT_EQ(WatchersOf("x"), 0u);
}

TEST_P(WatchTest, ThatIsTakenBackBringsNoNotice) {
  Host();
  Start({"a", "b", "c"});
  Watch("w", {"x", "y"});
  EXPECT_TRUE(cluster_->Await(At("w").Unwatch(At("x"))));
  EXPECT_FALSE(cluster_->Await(At("w").Unwatch(At("x"))));
  EXPECT_TRUE(cluster_->RunUntil([&] { return WatchersOf("x") == 0; }, absl::Seconds(5)));
  cluster_->Await(At("x").Erase());
  cluster_->Await(At("y").Erase());
  ASSERT_TRUE(Hears("w", 1));
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(Notices("w"), ElementsAre(HasSubstr("erased y")));
}

TEST_P(WatchTest, AFailedTurnWatchesNobodyAndEndsNothing) {
  Host();
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(At("w").WatchAndFail(At("x")).AsPromise()), HasSubstr("told to fail"));
  Watch("v", {"x"});
  EXPECT_EQ(WatchersOf("x"), 1u);
  EXPECT_THAT(ErrorOf(At("x").EraseAndFail().AsPromise()), HasSubstr("told to fail"));
  EXPECT_THAT(ErrorOf(At("x").Fail().AsPromise()),
              HasSubstr("told to fail"));  // An answer: no end.
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(Notices("v"), IsEmpty());
  EXPECT_THAT(Notices("w"), IsEmpty());
}

TEST_P(WatchTest, NeitherAFailoverNorIdlenessIsAnEnd) {
  Host();
  Start({"a", "b", "c"});
  Watch("w", {"x"});
  for (const auto* node : {"a", "b", "c"}) {
    cluster_->Kill(node);
    cluster_->Run(absl::Seconds(2));
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_THAT(Notices("w"), IsEmpty());
  cluster_->Await(At("x").Erase());
  EXPECT_TRUE(Hears("w", 1));
}

TEST_P(WatchTest, AnOnNoticeThatFailsIsTriedAgainUntilItSucceeds) {
  Host();
  Start({"a", "b", "c"});
  office_.fails_notices["w"] = 3;
  Watch("w", {"x"});
  cluster_->Await(At("x").Erase());
  ASSERT_TRUE(Hears("w", 1));
  EXPECT_EQ(office_.fails_notices["w"], 0);
  cluster_->Run(absl::Seconds(5));
  EXPECT_THAT(Notices("w"), SizeIs(1));
}

TEST_P(WatchTest, ASuspendedActorTellsItsWatchersOnceAndThoseWhoComeLaterAtOnce) {
  Host({.supervision = {.failures_max = 0, .suspended_for = absl::Seconds(3)}});
  Start({"a", "b", "c"});
  Watch("w", {"x"});
  cluster_->Await(At("x").FailByItself());
  ASSERT_TRUE(Hears("w", 1));
  EXPECT_THAT(Notices("w"), ElementsAre("suspended x: a timer failed: told to fail by itself"));
  cluster_->Await(StartWatch("v", {"x"}));
  ASSERT_TRUE(Hears("v", 1, absl::Seconds(2)));
  EXPECT_THAT(Notices("v"), ElementsAre("suspended x: a timer failed: told to fail by itself"));
  EXPECT_THAT(ErrorOf(At("x").Erase().AsPromise()), HasSubstr("is suspended"));
  cluster_->Run(absl::Seconds(10));
  EXPECT_THAT(Notices("w"), SizeIs(1));
}

TEST_P(WatchTest, ASuspendedWatcherHearsOfItAfterwards) {
  Host({.supervision = {.failures_max = 0, .suspended_for = absl::Seconds(3)}});
  Start({"a", "b", "c"});
  Watch("w", {"x"});
  cluster_->Await(At("w").FailByItself());
  cluster_->Run(absl::Milliseconds(100));
  cluster_->Await(At("x").Erase());
  cluster_->Run(absl::Seconds(5));
  EXPECT_THAT(Notices("w"), SizeIs(1));
}

TEST_P(WatchTest, AnActorThatIsStoppedTellsItsWatchersInOneChangeWithItsError) {
  Host({.supervision = {.directive = Supervision::Directive::kStop}});
  Start({"a", "b", "c"});
  Watch("w", {"x"});
  EXPECT_THAT(ErrorOf(At("x").Fail().AsPromise()), HasSubstr("told to fail"));
  cluster_->Kill(cluster_->PrimaryOf(IdOf("x")));  // It is answered, so the notice is safe.
  ASSERT_TRUE(Hears("w", 1));
  EXPECT_THAT(Notices("w"), ElementsAre(AllOf(HasSubstr("stopped x"), HasSubstr("told to fail"))));
}

TEST_P(WatchTest, OfAnErasedWatcherNothingIsKept) {
  Host();
  Start({"a", "b", "c"});
  Watch("w", {"x", "y"});
  Watch("v", {"w"});
  cluster_->Await(At("w").Erase());
  EXPECT_TRUE(
      cluster_->RunUntil([&] { return WatchersOf("x") + WatchersOf("y") == 0; }, absl::Seconds(5)));
  cluster_->Await(At("x").Erase());
  ASSERT_TRUE(Hears("v", 1));
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(Notices("w"), IsEmpty());
}

TEST_P(WatchTest, OfManyThatAreUnwatchedAtOnceTheMetadataOfTheTurnTakesNoRoom) {
  Host();
  Start({"a", "b", "c"});
  std::vector<std::string> many;
  for (int i = 0; i < 500; ++i) many.push_back("x" + std::to_string(i));
  cluster_->Await(StartWatch("w", many));
  ASSERT_TRUE(Registered("w", "x499"));
  cluster_->Await(At("w").WithMetadata("note", std::string(4000, 'n')).Erase());
  EXPECT_TRUE(cluster_->RunUntil([&] { return WatchersOf("x499") == 0; }, absl::Seconds(20)));
}

TEST_P(WatchTest, OneWatchesItselfAndLeavesAtOnce) {
  Host();
  Start({"a", "b", "c"});
  Watch("w", {"w"});
  cluster_->Await(At("v").WatchAndLeave(At("x")));
  ASSERT_TRUE(Registered("v", "x"));
  cluster_->Await(At("x").Erase());
  EXPECT_TRUE(Hears("v", 1));
}

TEST_P(WatchTest, OneThatIsErasedInItsLastTurnTellsAllWhoAreToKnow) {
  Host();
  Start({"a", "b", "c"});
  office_.erased_as_they_go = {"w"};
  Watch("v", {"w"});
  cluster_->Await(At("w").WatchAndLeave(At("x")));
  ASSERT_TRUE(Hears("v", 1));
  EXPECT_THAT(Notices("v"), ElementsAre("erased w: Guard/w has been erased"));
  EXPECT_TRUE(cluster_->RunUntil([&] { return WatchersOf("x") == 0; }, absl::Seconds(5)));
}

TEST_P(WatchTest, HasAsManyWatchersAsItMayAndSaysSoToTheNext) {
  Host();
  Start({"a", "b", "c"});
  std::vector<kj::Promise<void>> begun;
  for (size_t i = 0; i <= kWatchersMax; ++i) {
    begun.push_back(
        StartWatch("w" + std::to_string(i), {"x"}).AsPromise().eagerlyEvaluate(nullptr));
  }
  for (auto& watch : begun) cluster_->Await(watch.then([] { return 0; }));
  ASSERT_TRUE(
      cluster_->RunUntil([&] { return WatchersOf("x") == kWatchersMax; }, absl::Seconds(60)));
  cluster_->Run(absl::Seconds(6));
  cluster_->Await(At("x").Erase());
  cluster_->Run(absl::Seconds(20));
  size_t erased = 0, refused = 0;
  for (size_t i = 0; i <= kWatchersMax; ++i) {
    const auto heard = Notices("w" + std::to_string(i));
    ASSERT_THAT(heard, SizeIs(1)) << i;
    erased += heard[0] == "erased x: Guard/x has been erased";
    refused += heard[0] ==
               "refused x: actor Guard/x cannot be watched: an actor is watched by at most 1024 "
               "others";
  }
  EXPECT_EQ(erased, kWatchersMax);
  EXPECT_EQ(refused, 1u);
}

TEST_P(WatchTest, KeepsRoomInTheOutboxForEachWatcher) {
  Host();
  Start({"a", "b", "c"});
  office_.holds = true;
  Watch("w", {"x"});
  EXPECT_THAT(ErrorOf(At("x").Say(At("y"), kOutboxMax).AsPromise()),
              HasSubstr("room for 1 more is kept for those who watch it"));
  cluster_->Await(At("x").Say(At("y"), kOutboxMax - 1));
  cluster_->Await(StartWatch("v", {"x"}));
  const std::string refusal = "cannot be watched now: what it has told fills its outbox";
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->world().log().Contains(refusal); }));
  EXPECT_EQ(WatchersOf("x"), 1u);
  cluster_->Await(At("x").Erase());  // There is room for the notice.
  ASSERT_TRUE(Hears("w", 1));
  office_.holds = false;
  ASSERT_TRUE(Registered("v", "x"));
}

TEST_P(WatchTest, BeyondItsBoundFailsTheTurn) {
  Host();
  Start({"a", "b", "c"});
  std::vector<std::string> many;
  for (size_t i = 0; i <= kWatchedMax; ++i) many.push_back("x" + std::to_string(i));
  EXPECT_THAT(ErrorOf(StartWatch("w", many).AsPromise()),
              HasSubstr("actor Guard/w: an actor watches at most 1024 others: unwatch one before"));
  EXPECT_EQ(WatchedBy("w"), 0u);
  many.clear();
  for (int i = 0; i < 200; ++i) many.push_back(std::string(1000, 'k') + std::to_string(i));
  EXPECT_THAT(ErrorOf(StartWatch("w", many).AsPromise()),
              AllOf(HasSubstr("what an actor keeps of watches would be"),
                    HasSubstr(", which shorter keys leave room in")));
}

TEST_P(WatchTest, InAReadOrOfNobodyIsRefused) {
  Host();
  Start({"a", "b", "c"});
  EXPECT_THAT(ErrorOf(At("w").Peek(At("x")).AsPromise()),
              AllOf(HasSubstr("called Watch()"), HasSubstr(" in a $Troupe.readOnly method")));
  EXPECT_THAT(ErrorOf(At("w").WatchAndFail(Guard::Ref()).AsPromise()),
              HasSubstr("cannot watch a ref that refers to nobody: actors are watched"));
  EXPECT_THAT(ErrorOf(At("w").WatchNode("").AsPromise()),
              HasSubstr("cannot watch a node with a name of 0 bytes, expected 1 to"));
}

// ---- Nodes

TEST_P(WatchTest, ANodeThatIsKilledLeavesOrIsStartedAnewIsGoneOnce) {
  Host();
  Start({"a", "b", "c", "d"});
  for (int i = 0; i < 6; ++i) {
    for (const auto* node : {"a", "b", "c", "d"}) {
      cluster_->Await(At("w" + std::to_string(i)).WatchNode(node));
    }
  }
  uint64_t gone = 0;
  auto all_hear = [&](const std::string& text) {
    ++gone;
    for (int i = 0; i < 6; ++i) {
      const std::string key = "w" + std::to_string(i);
      ASSERT_TRUE(Hears(key, gone)) << key << " of " << text;
      EXPECT_THAT(Notices(key).back(), HasSubstr(text)) << key;
    }
  };
  cluster_->Kill("a");
  all_hear("node gone node a");
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  cluster_->Kill("b");
  cluster_->Restart("b");  // Faster than anybody notices, perhaps.
  all_hear("node gone node b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  cluster_->Run(absl::Seconds(2));
  for (int i = 0; i < 6; ++i) EXPECT_THAT(Notices("w" + std::to_string(i)), SizeIs(gone));
  EXPECT_TRUE(cluster_->Await(At("w0").UnwatchNode("c")));
  EXPECT_FALSE(cluster_->Await(At("w0").UnwatchNode("a")));
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(10));
  EXPECT_THAT(Notices("w0"), SizeIs(gone));
  EXPECT_THAT(Notices("w1"), SizeIs(gone + 1));
}

TEST_P(WatchTest, ANodeThatLeavesInOrderIsGoneThoughItHadTheWatcher) {
  Host();
  Start({"a", "b", "c", "d"});
  const auto node = cluster_->PrimaryOf(IdOf("w"));
  cluster_->Await(At("w").WatchNode(node));
  cluster_->Leave(node);
  ASSERT_TRUE(Hears("w", 1));
  cluster_->Run(absl::Seconds(3));
  EXPECT_THAT(Notices("w"), ElementsAre(HasSubstr("node gone node " + node)));
}

TEST_P(WatchTest, InTheTurnOfItsNoticeBeginsAnew) {
  Host();
  Start({"a", "b", "c"});
  office_.watches_again.insert("w");
  Watch("w", {"x"});
  for (size_t i = 1; i < 4; ++i) {
    ASSERT_TRUE(Registered("w", "x"));
    cluster_->Await(At("x").Erase());
    ASSERT_TRUE(Hears("w", i));
  }
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(Notices("w"), SizeIs(3));
}

TEST_P(WatchTest, ANodeThatIsNotThereIsGoneAtOnce) {
  Host();
  Start({"a", "b", "c"});
  cluster_->Await(At("w").WatchNode("nowhere"));
  ASSERT_TRUE(Hears("w", 1, absl::Seconds(1)));
  EXPECT_THAT(Notices("w"),
              ElementsAre("node gone node nowhere: node nowhere is not in the cluster"));
}

// ---- What is lost for good

TEST_P(WatchTest, TheLossOfAllCopiesIsSaidToWatchersOnce) {
  Host();
  auto options = Options();
  options.config.replicas = 1;
  options.config.min_isr_setting = 1;
  Start({"a", "b", "c"}, options);
  // A watcher on another node than the watched.
  const auto victim = cluster_->PrimaryOf(IdOf("x"));
  std::string watcher;
  for (int i = 0; watcher.empty(); ++i) {
    const std::string key = "w" + std::to_string(i);
    if (cluster_->PrimaryOf(IdOf(key)) != victim) watcher = key;
  }
  Watch(watcher, {"x"});
  cluster_->Kill(victim);
  cluster_->Run(absl::Seconds(2));
  cluster_->Restart(victim);  // With nothing in memory.
  ASSERT_TRUE(Hears(watcher, 1));
  EXPECT_THAT(Notices(watcher), ElementsAre(AllOf(HasSubstr("state lost x: all copies of shard"),
                                                  HasSubstr("were lost"))));
  cluster_->Run(absl::Seconds(5));
  EXPECT_THAT(Notices(watcher), SizeIs(1));
}

INSTANTIATE_TEST_SUITE_P(Seeds, WatchTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
