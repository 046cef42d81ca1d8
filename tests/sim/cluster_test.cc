// Whole nodes on virtual time: what callers see through each failure of docs/semantics.md.
#include <cstring>

#include "cluster_fixture.h"
#include "troupe/membership/placement.h"
#include "troupe/sim/workload.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

using ClusterTest = ClusterFixture;

TEST_P(ClusterTest, OneNodeAnswersCalls) {
  Start({"a"});
  EXPECT_EQ(Add("x"), 1u);
  EXPECT_EQ(Add("x", 4), 5u);
  EXPECT_EQ(Get("x"), 5u);
  EXPECT_EQ(Get("y"), 0u);
}

TEST_P(ClusterTest, ThreeNodesAnswerCallsAndKeepThreeCopies) {
  Start({"a", "b", "c"});
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Add("k" + std::to_string(i)), 1u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Get("k" + std::to_string(i)), 1u);
}

TEST_P(ClusterTest, KillOfAPrimaryLosesAndDoublesNothing) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill(cluster_->PrimaryOf(CounterId("k0")));
  cluster_->Run(absl::Seconds(5));
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, KillOfTheCoordinatorLosesAndDoublesNothing) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill(cluster_->Coordinator());
  cluster_->Run(absl::Seconds(5));
  StopAndCheck(traffic);
}

// Each restart takes a vote in memory with it; a majority never goes if each waits for `ready`.
TEST_P(ClusterTest, RestartsOneByOneThatWaitForReadyNeverLoseTheRegister) {
  Start({"a", "b", "c"});
  for (int round = 0; round < 6; ++round) {
    const std::string name(1, static_cast<char>('a' + round % 3));
    cluster_->Kill(name);
    cluster_->Restart(name);
    ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->node(name).ready(); }))
        << cluster_->Describe();
    EXPECT_TRUE(VotersAreWhole(*cluster_->node(name).membership().map())) << cluster_->Describe();
  }
}

TEST_P(ClusterTest, AKilledNodeComesBackEmptyAndASecondOneMayDieThen) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill("b");
  cluster_->Run(absl::Seconds(3));
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  cluster_->Kill("c");
  cluster_->Run(absl::Seconds(5));
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, ARestartFasterThanDetectionIsNotCountedAsInSync) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  const Boot before = cluster_->NewestMap()->FindNode("b")->boot;
  cluster_->Kill("b");
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  EXPECT_GT(cluster_->NewestMap()->FindNode("b")->boot, before);
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, ARunThatIsFencedBeforeItKnowsItsBootComesBack) {
  Start({"a", "b", "c"});
  const Boot before = cluster_->NewestMap()->FindNode("b")->boot;
  const auto entry = [&] { return cluster_->NewestMap()->FindNode("b"); };
  cluster_->Kill("b");
  for (const char* other : {"a", "c"}) {  // So that it is the last to hear of its boot.
    cluster_->world().SetLink("b", other, {absl::Milliseconds(50), absl::Milliseconds(60)});
  }
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->RunUntil([&] { return entry()->boot > before; }));
  cluster_->Isolate("b");
  for (const char* other : {"a", "c"}) cluster_->world().ResetConnections("b", other);
  ASSERT_EQ(cluster_->node("b").membership().boot(), 0u) << "it knows already";
  ASSERT_TRUE(cluster_->RunUntil([&] { return entry()->state == NodeState::kFenced; }));
  cluster_->Heal();
  EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
}

// A run that is registered is a copy of nothing until it has the map that says so, however slow its
// links are.
TEST_P(ClusterTest, ANewRunTakesNoDataBeforeItsMapShowsItself) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  size_t looked = 0;
  cluster_->OnStep([&] {
    for (const auto& name : cluster_->names()) {
      if (!cluster_->has(name)) continue;
      auto& membership = cluster_->node(name).membership();
      cluster_->node(name).ForEachReplica([&](const ShardReplica& replica) {
        ++looked;
        EXPECT_EQ(replica.self(), membership.boot());
        EXPECT_GE(membership.map()->version,
                  replica.self());  // A boot is the version it came with.
      });
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (const auto* other : {"a", "b"}) {
      cluster_->world().SetLink("c", other, {absl::Milliseconds(1), absl::Milliseconds(150)});
    }
    cluster_->Kill("c");
    cluster_->Restart("c");
    cluster_->Run(absl::Seconds(2));
    for (const auto* other : {"a", "b"}) cluster_->world().ClearLink("c", other);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_GT(looked, 0u);
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, CallsToARunThatWasReplacedWithoutAWordAreSentAgain) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  const std::string primary = cluster_->PrimaryOf(CounterId("x"));
  cluster_->world().Cut("client", primary);
  auto request = client_->Get<Counter>("x").addRequest();
  request.setBy(1);
  auto sent = request.send().then([](auto&& r) { return r.getValue(); });
  cluster_->Run(absl::Milliseconds(5));
  cluster_->PowerOff(primary);
  cluster_->Restart(primary);
  EXPECT_EQ(cluster_->Await(kj::mv(sent), absl::Seconds(10)), 2u);
}

TEST_P(ClusterTest, AFullWindowThatExpiresLetsTheCallsBehindItGo) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  const std::string primary = cluster_->PrimaryOf(CounterId("x"));
  CallOptions brief;
  brief.deadline = absl::Milliseconds(100);
  cluster_->Pause(primary);
  std::vector<kj::Promise<void>> lost;
  for (int i = 0; i < 256; ++i) {
    lost.push_back(client_->Get<Counter>("x", brief).getRequest().send().ignoreResult());
  }
  auto behind =
      client_->Get<Counter>("x").getRequest().send().then([](auto&& r) { return r.getValue(); });
  cluster_->Run(absl::Milliseconds(200));
  cluster_->Resume(primary);
  EXPECT_EQ(cluster_->Await(kj::mv(behind), absl::Seconds(10)), 1u);
}

TEST_P(ClusterTest, ACallWhoseParametersAreNoMessageDoesNotHoldUpItsActor) {
  Start({"a"});
  EXPECT_EQ(Add("x"), 1u);
  auto words = kj::heapArray<capnp::word>(1);
  std::memset(static_cast<void*>(words.begin()), 0x7f,
              sizeof(capnp::word));  // A table of segments that is cut off.
  CallOptions brief;
  brief.deadline = absl::Seconds(1);
  auto sent = client_->Origin()->Call(CounterId("x"), capnp::typeId<Counter>(), 0,
                                      Payload::Copy(words), brief);
  EXPECT_NE(ErrorOf(sent.ignoreResult()), "no error");
  EXPECT_EQ(Add("x"), 2u);
}

TEST_P(ClusterTest, APausedPrimaryIsReplacedAndComesBackAsABackup) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  const std::string paused = cluster_->PrimaryOf(CounterId("k0"));
  cluster_->Pause(paused);
  cluster_->Run(absl::Seconds(6));
  EXPECT_NE(cluster_->PrimaryOf(CounterId("k0")), paused);
  cluster_->Resume(paused);
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, AnOldPrimaryOnTheMinoritySideAnswersNothing) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  const std::string minority = cluster_->PrimaryOf(CounterId("k0"));
  for (const auto& name : cluster_->names()) {
    if (name != minority) cluster_->world().Cut(minority, name);  // The client still reaches it.
  }
  cluster_->Run(absl::Seconds(6));
  cluster_->Heal();
  ASSERT_TRUE(cluster_->Settle(absl::Seconds(60))) << cluster_->Describe();
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, AMethodThatThrowsChangesNothing) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  auto request = client_->Get<Counter>("x").failRequest();
  request.setText("now");
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("told to fail"));
  EXPECT_EQ(Get("x"), 1u);
  EXPECT_EQ(Add("x"), 2u);
}

TEST_P(ClusterTest, AMethodThatNeverAnswersEndsWithAnErrorThatNamesIt) {
  Start({"a", "b", "c"});
  auto never = client_->Get<Counter>("x", {.deadline = absl::Seconds(2)}).neverRequest().send();
  EXPECT_THAT(ErrorOf(never.ignoreResult()), HasSubstr("Counter.never on Counter/x"));
}

TEST_P(ClusterTest, CallsOfAClientThatEndsAreDisconnected) {
  Start({"a", "b", "c"});
  auto& other = cluster_->AddClient("other");
  auto sent = other.Get<Counter>("x").neverRequest().send().ignoreResult().eagerlyEvaluate(nullptr);
  auto waits = other.Get<Counter>("x").addRequest().send().ignoreResult().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  cluster_->RemoveClient("other");
  for (auto* call : {&sent, &waits}) {
    auto type = kj::Exception::Type::FAILED;
    EXPECT_THAT(ErrorOf(call->catch_([&](kj::Exception&& e) {
                  type = e.getType();
                  kj::throwFatalException(kj::mv(e));
                })),
                HasSubstr("whoever called Counter/x has ended"));
    EXPECT_EQ(type, kj::Exception::Type::DISCONNECTED);
  }
}

TEST_P(ClusterTest, CallsBetweenActorsTakeEffectOnceThroughKills) {
  Start({"a", "b", "c"});
  size_t open = 0, answered = 0;
  for (int i = 0; i < 40; ++i) {
    auto request = client_->Get<Counter>("from" + std::to_string(i % 8)).addToRequest();
    request.setOther("to" + std::to_string(i % 8));
    request.setBy(1);
    ++open;
    tasks_.add(request.send().then([&](auto&&) { --open, ++answered; },
                                   [&](kj::Exception&& e) {
                                     --open;
                                     ADD_FAILURE() << Words(e);
                                   }));
    if (i == 10) cluster_->Kill(cluster_->PrimaryOf(CounterId("from0")));
    cluster_->Run(absl::Milliseconds(2));
  }
  ASSERT_TRUE(cluster_->RunUntil([&] { return open == 0; }, absl::Seconds(60)));
  uint64_t from = 0, to = 0;
  for (int i = 0; i < 8; ++i) {
    from += Get("from" + std::to_string(i));
    to += Get("to" + std::to_string(i));
  }
  EXPECT_EQ(from, 40u) << "seed " << GetParam();
  EXPECT_EQ(to, 40u) << "seed " << GetParam();
}

TEST_P(ClusterTest, LossOfTwoOfThreeRefusesWritesAndGoesOnWhenOneReturnsWithItsDisk) {
  Start({"a", "b", "c"});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Add("k" + std::to_string(i)), 1u);
  cluster_->Kill("a", SimDiskAfter::kKeep);
  cluster_->Kill("b", SimDiskAfter::kKeep);
  cluster_->Run(absl::Seconds(5));
  auto late = client_->Get<Counter>("k0", {.deadline = absl::Seconds(2)}).addRequest();
  late.setBy(1);
  EXPECT_THAT(ErrorOf(late.send().ignoreResult()), HasSubstr("no answer from actor Counter/"));
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->RunUntil(
      [&] {
        auto map = cluster_->NewestMap();
        return map && std::all_of(map->shards.begin(), map->shards.end(), [&](const auto& shard) {
                 return shard.state == ShardState::kActive && shard.isr.size() == 2 &&
                        map->IsUp(shard.isr[0]) && map->IsUp(shard.isr[1]);
               });
      },
      absl::Seconds(60)))
      << cluster_->Describe();
  // The late call may have run after all, as its error said.
  EXPECT_THAT(Get("k0"), ::testing::AnyOf(1u, 2u));
  for (int i = 1; i < 20; ++i) EXPECT_EQ(Add("k" + std::to_string(i)), 2u);
}

TEST_P(ClusterTest, LossOfAllCopiesIsSaidAndNeverSilentlyEmpty) {
  Start({"a"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Kill("a", SimDiskAfter::kKeep);
  cluster_->Run(absl::Seconds(1));
  cluster_->Restart("a");
  ASSERT_TRUE(cluster_->RunUntil([&] {
    return cluster_->node("a").ready() && client_->map()->version >= cluster_->NewestMap()->version;
  })) << cluster_->Describe();
  auto request = client_->Get<Counter>("x").getRequest();
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("StateLost: no copy of shard"));
}

TEST_P(ClusterTest, AnOrderlyStopHandsItsShardsOver) {
  Start({"a", "b", "c"});
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  auto drained = cluster_->node("b").Drain(absl::Seconds(20)).then([] { return 0; });
  cluster_->Await(kj::mv(drained));
  cluster_->Kill("b");
  cluster_->Run(absl::Seconds(2));
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, FiveNodesSurviveTwoDeathsAtOnce) {
  Start({"a", "b", "c", "d", "e"});
  ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->NewestMap()->voters.size() == 5; }));
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill("a");
  cluster_->Kill("d");
  cluster_->Run(absl::Seconds(8));
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, SeveralWorkersShareTheShards) {
  auto options = Options();
  options.workers = 3;
  Start({"a", "b", "c"}, options);
  Traffic traffic;
  DriveMany(traffic, 20);
  cluster_->Run(absl::Seconds(1));
  cluster_->Kill("a");
  cluster_->Run(absl::Seconds(3));
  StopAndCheck(traffic);
}

TEST_P(ClusterTest, AResultThatIsTooLargeIsAnErrorThatSaysSo) {
  Start({"a"});
  auto request = client_->Get<Counter>("x").bigRequest();
  request.setBytes(9 << 20);
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("at most 8388608"));
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(ClusterTest, AMethodNeedNotTouchItsResults) {
  Start({"a"});
  auto request = client_->Get<Counter>("x").growRequest();
  request.setBytes(1);
  EXPECT_EQ(ErrorOf(request.send().ignoreResult()), "no error");
}

TEST_P(ClusterTest, AStateThatIsTooLargeUndoesItsTurnAndSaysSo) {
  Start({"a", "b", "c"});
  EXPECT_EQ(Add("x"), 1u);
  auto request = client_->Get<Counter>("x").growRequest();
  request.setBytes(9 << 20);
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()),
              HasSubstr("the state of Counter/x would be 94372"));
  EXPECT_EQ(Add("x"), 2u);
  auto most = client_->Get<Counter>("x").growRequest();
  most.setBytes((8 << 20) - 64);
  EXPECT_EQ(ErrorOf(most.send().ignoreResult()), "no error");
  EXPECT_EQ(Add("x"), 3u);
}

TEST_P(ClusterTest, AnActorWithManyLargeResultsStillReachesANewCopy) {
  Start({"a", "b", "c"});
  auto never = client_->Get<Counter>("y").neverRequest().send();  // Keeps the records.
  for (int i = 0; i < 300; ++i) {
    auto request = client_->Get<Counter>("x").bigRequest();
    request.setBytes(60 << 10);
    ASSERT_EQ(ErrorOf(request.send().ignoreResult()), "no error");
  }
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Kill("b");
  cluster_->Run(absl::Seconds(3));
  cluster_->Restart("b");
  ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  cluster_->Kill(cluster_->PrimaryOf(CounterId("x")));
  EXPECT_EQ(Add("x"), 2u);
}

TEST_P(ClusterTest, AnErrorWithALongTextIsCut) {
  Start({"a"});
  auto request = client_->Get<Counter>("x").failRequest();
  request.setText(std::string(1 << 20, 'x').c_str());
  const std::string error = ErrorOf(request.send().ignoreResult());
  EXPECT_LE(error.size(), kFailureTextBytesMax);
  EXPECT_GE(error.size(), kFailureTextBytesMax - 4);
}

TEST_P(ClusterTest, AnActorThatCallsItselfIsToldOfTheCycle) {
  Start({"a"});
  auto request = client_->Get<Counter>("x").askItselfRequest();
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("call cycle: "));
  EXPECT_EQ(Add("x"), 1u);
}

TEST_P(ClusterTest, AFullMailboxIsSaid) {
  Start({"a"});
  size_t full = 0, open = 0;
  std::string last;
  EXPECT_EQ(Add("x"), 1u);
  auto never = client_->Get<Counter>("x", {.deadline = absl::Seconds(5)}).neverRequest().send();
  cluster_->Run(absl::Milliseconds(100));
  // Each client has 256 calls in flight to one actor at most, so it takes several.
  for (int c = 0; c < 6; ++c) {
    auto& other = cluster_->AddClient("more" + std::to_string(c));
    for (int i = 0; i < 256; ++i) {
      ++open;
      auto request = other.Get<Counter>("x", {.deadline = absl::Seconds(3)}).addRequest();
      tasks_.add(request.send().then([&](auto&&) { --open; },
                                     [&](kj::Exception&& e) {
                                       --open;
                                       full += Words(e).find("mailbox of Counter/x is full") !=
                                               std::string::npos;
                                       last = Words(e);
                                     }));
    }
  }
  ASSERT_TRUE(cluster_->RunUntil([&] { return open == 0; }, absl::Seconds(20)));
  EXPECT_EQ(full, 6u * 256 - kMailboxMax) << last;
}

TEST_P(ClusterTest, AnUnknownActorTypeIsSaid) {
  Registry others;
  sim::Workload::Register(others);
  auto options = Options();
  options.nodes = {"a"};
  cluster_ = std::make_unique<sim::Cluster>(options, others);
  client_ = &cluster_->AddClient("client");
  ASSERT_TRUE(cluster_->Settle());
  auto request = client_->Get<Counter>("x").addRequest();
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("no actors of type @0x"));
  tasks_.set = nullptr;
  client_ = nullptr;
  cluster_ = nullptr;
}

TEST_P(ClusterTest, AClientWhoseNodesAreAllGoneGetsAnErrorByItsDeadline) {
  Start({"a"});
  EXPECT_EQ(Add("x"), 1u);
  cluster_->Kill("a");
  auto request = client_->Get<Counter>("x", {.deadline = absl::Seconds(3)}).addRequest();
  const absl::Time before = cluster_->world().Now();
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()), HasSubstr("no answer"));
  EXPECT_LT(cluster_->world().Now() - before, absl::Seconds(4));
}

TEST_P(ClusterTest, AClientThatReachesNobodyIsToldWhomAndWhy) {
  Start({"a", "b"});
  cluster_->Kill("a");
  cluster_->Kill("b");
  auto& late = cluster_->AddClient("late");
  auto request = late.Get<Counter>("x", {.deadline = absl::Seconds(3)}).addRequest();
  EXPECT_THAT(ErrorOf(request.send().ignoreResult()),
              ::testing::AllOf(HasSubstr("no node of the cluster has answered yet"),
                               HasSubstr(cluster_->AddressOf("a") + ": "),
                               HasSubstr(cluster_->AddressOf("b") + ": ")));
}

TEST_P(ClusterTest, AClientFindsNodesByTheirNames) {
  Start({"a", "b"});
  Client named(cluster_->world().machine("client").control(), {.nodes = {"nobody:7100", "b:7100"}});
  auto request = named.Get<Counter>("x").addRequest();
  request.setBy(1);
  EXPECT_EQ(cluster_->Await(request.send().then([](auto&& r) { return r.getValue(); })), 1u);
}

TEST_P(ClusterTest, AClientIsNotGivenWhatIsNoAddress) {
  Start({"a"});
  auto& host = cluster_->world().machine("client").control();
  for (const char* wrong : {"nonsense", "a:", ":7100", "a:70000"}) {
    std::string error;
    try {
      Client client(host, {.nodes = {wrong}});
    } catch (const kj::Exception& e) {
      error = Words(e);
    }
    EXPECT_THAT(error, HasSubstr("expected host:port, such as"));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClusterTest, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace troupe
