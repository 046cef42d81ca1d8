// Observers: objects of clients that actors call, wherever the actors are by then.
#include <absl/strings/str_split.h>

#include "cluster_fixture.h"
#include "kj/timer.h"
#include "lobby.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Does not answer until it is told to.
class Sleeper final : public Guest::Actor {
 public:
  std::vector<std::string> begun;
  std::vector<kj::Own<kj::PromiseFulfiller<uint64_t>>> open;
  std::function<void()> on_said = [] {};

 private:
  Task<uint64_t> Said(std::string, std::string text) override {
    begun.push_back(text);
    auto paf = kj::newPromiseAndFulfiller<uint64_t>();
    open.push_back(kj::mv(paf.fulfiller));
    on_said();
    return kj::mv(paf.promise);
  }
};

class Refuser final : public Guest::Actor {
  Task<uint64_t> Said(std::string, std::string) override { co_await Fail("not in the mood"); }
};

class ObserverTest : public ClusterFixture {
 protected:
  ObserverTest() { registry_.Host<LobbyActor>(); }

  void StartRoom(size_t workers = 1) {
    auto options = Options();
    options.workers = workers;
    Start({"a", "b", "c"}, options);
    Connect(*client_);
  }
  // Until it has a link to every node.
  void Connect(Client& client) {
    cluster_->Await(client.Connected(absl::Seconds(5)));
    cluster_->Run(absl::Milliseconds(200));
  }
  Client& AnotherClient(const std::string& name) {
    auto& client = cluster_->AddClient(name);
    Connect(client);
    return client;
  }

  Lobby::Ref At(const std::string& key = "main") { return client_->Get<Lobby>(key); }
  void Join(const std::string& name, const Guest::Ref& listener) {
    cluster_->Await(At().Join(name, listener));
  }
  uint64_t Say(const std::string& text) { return cluster_->Await(At().Say("ann", text)); }
  void Announce(const std::string& text, uint32_t times = 1) {
    cluster_->Await(At().Announce("ann", text, times));
  }
  Lobby::AskReply Ask(const std::string& name, const std::string& text,
                      uint32_t deadline_ms = 900) {
    return cluster_->Await(At().Ask(name, text, deadline_ms));
  }
  std::string Members() { return cluster_->Await(At().Members()); }
  std::string RoomsNode() { return cluster_->PrimaryOf({capnp::typeId<Lobby>(), "main"}); }
  void KillRoom() {
    const auto node = RoomsNode();
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(500));
    cluster_->Restart(node);
  }
  absl::Time Now() { return cluster_->world().machine("client").control().clock().Now(); }

  std::vector<std::string> lines_, others_lines_;
};

TEST_P(ObserverTest, AnActorReachesAnObjectOfAClientAndIsAnswered) {
  StartRoom();
  auto screen = client_->Observe<Screen>(lines_);
  cluster_->Await(client_->Get<Lobby>("main").Join("ann", screen.ref()));
  EXPECT_EQ(Say("hello"), 1u);
  EXPECT_EQ(Ask("ann", "you").heard, 2u);
  EXPECT_THAT(lines_, ElementsAre("ann: hello", ": you"));
}

TEST_P(ObserverTest, OneClientHearsWhicheverWorkerTheRoomIsOn) {
  StartRoom(3);
  auto screen = client_->Observe<Screen>(lines_);
  for (int i = 0; i < 12; ++i) {
    auto room = At("room" + std::to_string(i));
    cluster_->Await(room.Join("ann", screen.ref()));
    EXPECT_EQ(cluster_->Await(room.Say("ann", std::to_string(i))), 1u) << i;
  }
  EXPECT_THAT(lines_, SizeIs(12));
}

TEST_P(ObserverTest, EachOfTwoClientsHearsAllInOrder) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto mine = client_->Observe<Screen>(lines_);
  auto theirs = other.Observe<Screen>(others_lines_);
  Join("ann", mine.ref());
  Join("bob", theirs.ref());
  std::vector<kj::Promise<uint64_t>> calls;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(At().Say("ann", std::to_string(i)));
    expected.push_back("ann: " + std::to_string(i));
  }
  for (auto& call : calls) EXPECT_EQ(cluster_->Await(kj::mv(call)), 2u);
  EXPECT_EQ(lines_, expected);
  EXPECT_EQ(others_lines_, expected);
}

TEST_P(ObserverTest, WhatOneCallerSendsAtOnceArrivesInOrder) {
  StartRoom(2);
  auto screen = client_->Observe<Screen>(lines_);
  Join("ann", screen.ref());
  Announce("n", 200);
  cluster_->RunUntil([&] { return lines_.size() == 200; });
  ASSERT_THAT(lines_, SizeIs(200));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(lines_[i], "ann: n" + std::to_string(i));
}

TEST_P(ObserverTest, IsStillReachedWhenTheNodeOfTheRoomIsKilled) {
  StartRoom();
  auto screen = client_->Observe<Screen>(lines_);
  Join("ann", screen.ref());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Say(std::to_string(i)), 1u) << i;
    KillRoom();
    EXPECT_EQ(Say("again"), 1u) << i;
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_THAT(lines_, SizeIs(10));
}

TEST_P(ObserverTest, WhatIsToldArrivesAtMostOnceAndInOrderThroughKills) {
  StartRoom();
  auto screen = client_->Observe<Screen>(lines_);
  Join("ann", screen.ref());
  Random random(GetParam());
  constexpr int kKills = 6;
  int told = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    std::vector<kj::Promise<void>> calls;
    for (int i = 0; i < 40; ++i) {
      calls.push_back(
          At().Announce("ann", std::to_string(told++), 1).AsPromise().eagerlyEvaluate(nullptr));
    }
    cluster_->Run(absl::Microseconds(static_cast<int64_t>(random.Below(20000))));
    KillRoom();
    for (auto& call : calls) cluster_->Await(kj::mv(call));
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  cluster_->Run(absl::Seconds(5));
  int last = -1;
  for (const auto& line : lines_) {
    const int number = std::stoi(line.substr(5));
    EXPECT_GT(number, last);
    last = number;
  }
  // The client was connected all along to whichever node came next.
  EXPECT_THAT(lines_, SizeIs(static_cast<size_t>(told)));
}

TEST_P(ObserverTest, OfAClientThatIsGoneIsAnsweredDisconnectedAtOnce) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto theirs = other.Observe<Screen>(others_lines_);
  Join("bob", theirs.ref());
  EXPECT_EQ(Say("hello"), 1u);
  cluster_->RemoveClient("other");
  cluster_->Run(absl::Seconds(1));
  const auto before = Now();
  const auto reply = Ask("bob", "anybody?", 20000);
  EXPECT_THAT(reply.error, HasSubstr("disconnected"));
  EXPECT_THAT(reply.error, HasSubstr("is not connected to node " + RoomsNode()));
  EXPECT_LT(Now() - before, absl::Milliseconds(500));
  EXPECT_EQ(Say("hello?"), 0u);
  EXPECT_EQ(Members(), "");
}

TEST_P(ObserverTest, CallsUnderWayEndWithTheLinkOfTheClient) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto sleeper = other.Observe<Sleeper>();
  Join("bob", sleeper.ref());
  auto asked = At().Ask("bob", "zzz", 20000).AsPromise().eagerlyEvaluate(nullptr);
  ASSERT_TRUE(cluster_->RunUntil([&] { return sleeper->begun.size() == 1; }));
  const auto before = Now();
  cluster_->RemoveClient("other");
  const auto reply = cluster_->Await(kj::mv(asked));
  EXPECT_THAT(reply.error, HasSubstr("disconnected"));
  EXPECT_THAT(reply.error, HasSubstr("has ended; the call may have reached it"));
  EXPECT_LT(Now() - before, absl::Seconds(1));
}

TEST_P(ObserverTest, ThatWasDroppedIsAnsweredDisconnectedAtOnce) {
  StartRoom();
  auto kept = client_->Observe<Screen>(lines_);
  {
    auto screen = client_->Observe<Screen>(others_lines_);
    Join("ann", screen.ref());
    EXPECT_EQ(Say("hello"), 1u);
  }
  const auto reply = Ask("ann", "anybody?", 20000);
  EXPECT_THAT(reply.error, HasSubstr("disconnected"));
  EXPECT_THAT(reply.error, HasSubstr("has been dropped by its client"));
  EXPECT_EQ(Say("hello?"), 0u);
  EXPECT_EQ(Members(), "");
  EXPECT_THAT(others_lines_, SizeIs(1));
}

TEST_P(ObserverTest, IsDroppedWithItsCallsAlsoInAMethodOfItsOwn) {
  StartRoom();
  auto sleeper = client_->Observe<Sleeper>();
  Join("ann", sleeper.ref());
  sleeper->on_said = [&] { sleeper = Observer<Sleeper>(); };
  auto first = client_->Get<Lobby>("main").Ask("ann", "one", 20000).AsPromise();
  EXPECT_THAT(cluster_->Await(kj::mv(first)).error, HasSubstr("has been dropped"));
  EXPECT_THAT(Ask("ann", "two").error, HasSubstr("has been dropped"));
}

TEST_P(ObserverTest, ADroppedOneCancelsTheMethodThatRuns) {
  StartRoom();
  auto sleeper = client_->Observe<Sleeper>();
  Join("ann", sleeper.ref());
  auto asked = At().Ask("ann", "zzz", 20000).AsPromise().eagerlyEvaluate(nullptr);
  ASSERT_TRUE(cluster_->RunUntil([&] { return sleeper->begun.size() == 1; }));
  auto open = kj::mv(sleeper->open[0]);
  sleeper = Observer<Sleeper>();
  EXPECT_THAT(cluster_->Await(kj::mv(asked)).error, HasSubstr("has been dropped"));
  EXPECT_FALSE(open->isWaiting());
}

TEST_P(ObserverTest, RunsOneCallAtATimeInOrder) {
  StartRoom();
  auto sleeper = client_->Observe<Sleeper>();
  Join("ann", sleeper.ref());
  auto flood = At().Flood("ann", "x", 3).AsPromise().eagerlyEvaluate(nullptr);
  for (size_t i = 0; i < 3; ++i) {
    cluster_->Run(absl::Milliseconds(100));
    ASSERT_THAT(sleeper->begun, SizeIs(i + 1));
    sleeper->open[i]->fulfill(1);
  }
  EXPECT_EQ(cluster_->Await(kj::mv(flood)).answered, 3u);
}

TEST_P(ObserverTest, AnErrorOfTheObjectIsTheAnswer) {
  StartRoom();
  auto refuser = client_->Observe<Refuser>();
  Join("ann", refuser.ref());
  const auto reply = Ask("ann", "please");
  EXPECT_THAT(reply.error, HasSubstr("failed: not in the mood"));
  EXPECT_EQ(Say("all the same"), 0u);
  EXPECT_EQ(Members(), "ann");  // It is there.
}

TEST_P(ObserverTest, ThatDoesNotAnswerIsWaitedForUntilTheDeadline) {
  StartRoom();
  auto sleeper = client_->Observe<Sleeper>();
  Join("ann", sleeper.ref());
  const auto before = Now();
  EXPECT_THAT(Ask("ann", "zzz", 700).error, HasSubstr("overloaded"));
  EXPECT_GE(Now() - before, absl::Milliseconds(600));
  EXPECT_LT(Now() - before, absl::Milliseconds(900));
}

TEST_P(ObserverTest, ASlowClientIsRefusedMoreAndHoldsUpNobodyElse) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto slow = other.Observe<Screen>(others_lines_);
  auto quick = client_->Observe<Screen>(lines_);
  Join("slow", slow.ref());
  cluster_->Await(At("quick").Join("quick", quick.ref()));
  cluster_->world().Pause("other", SimPause::kProcess);
  const std::string large(60000, 'x');
  auto flood = At().Flood("slow", large, 600).AsPromise().eagerlyEvaluate(nullptr);
  for (int i = 0; i < 10; ++i) {
    const auto before = Now();
    EXPECT_EQ(cluster_->Await(At("quick").Say("ann", std::to_string(i))), 1u);
    EXPECT_LT(Now() - before, absl::Milliseconds(200));
  }
  const auto reply = cluster_->Await(kj::mv(flood));
  EXPECT_EQ(reply.answered, 0u);
  EXPECT_EQ(reply.refused, 600u);
  cluster_->world().Resume("other");
  cluster_->Run(absl::Seconds(5));
  others_lines_.clear();
  EXPECT_EQ(Ask("slow", "awake?").error, "");
  EXPECT_THAT(others_lines_, ElementsAre(": awake?"));
}

TEST_P(ObserverTest, MoreThanALinkHoldsIsRefusedAtOnce) {
  StartRoom();
  auto sleeper = client_->Observe<Sleeper>();
  Join("ann", sleeper.ref());
  auto flood = At().Flood("ann", std::string(100000, 'x'), 200).AsPromise();
  const auto before = Now();
  const auto reply = cluster_->Await(kj::mv(flood));
  EXPECT_LT(Now() - before, absl::Seconds(3));
  EXPECT_EQ(reply.refused, 200u);
  EXPECT_THAT(reply.error, HasSubstr("is too slow for node"));
}

TEST_P(ObserverTest, HearsAgainOnceABrokenLinkIsBack) {
  StartRoom();
  auto screen = client_->Observe<Screen>(lines_);
  Join("ann", screen.ref());
  EXPECT_EQ(Say("one"), 1u);
  // The room calls from its other side of a cut, so somebody else has to ask it.
  auto& other = AnotherClient("other");
  auto ask = [&](const std::string& text) {
    return cluster_->Await(other.Get<Lobby>("main").Ask("ann", text, 3000)).error;
  };
  const auto node = RoomsNode();
  cluster_->Cut("client", node);
  EXPECT_NE(ask("two"), "");
  cluster_->Heal();
  std::string error;
  EXPECT_TRUE(cluster_->RunUntil([&] { return (error = ask("three")).empty(); })) << error;
  EXPECT_EQ(lines_.back(), ": three");
}

TEST_P(ObserverTest, WhatIsToldOneThatIsGoneIsNotToldForEver) {
  StartRoom();
  { Join("ann", client_->Observe<Screen>(lines_).ref()); }
  for (int i = 0; i < 3; ++i) {  // Kept, it would be more than an actor may have told.
    Announce(std::string(1000, 'x'), 300);
    cluster_->Run(absl::Seconds(2));
  }
  auto screen = client_->Observe<Screen>(lines_);
  Join("ann", screen.ref());
  Announce("now", 1);
  cluster_->Run(absl::Seconds(2));
  EXPECT_THAT(lines_, ElementsAre("ann: now"));
}

TEST_P(ObserverTest, OneThatNeverAnswersCostsNobodyElseWhatIsTold) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto hung = other.Observe<Sleeper>();
  auto screen = client_->Observe<Screen>(lines_);
  Join("hung", hung.ref());
  Join("ann", screen.ref());
  for (int i = 0; i < 100; ++i) {
    Announce(std::string(10000, 'x'), 10);
    cluster_->RunUntil([&] { return lines_.size() == 10 * static_cast<size_t>(i + 1); });
  }
  EXPECT_THAT(lines_, SizeIs(1000));
  EXPECT_THAT(hung->begun, SizeIs(1));
}

TEST_P(ObserverTest, AClientThatDoesNotReadCostsNobodyElseWhatIsTold) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto slow = other.Observe<Screen>(others_lines_);
  auto screen = client_->Observe<Screen>(lines_);
  Join("bob", slow.ref());
  Join("ann", screen.ref());
  cluster_->world().Pause("other", SimPause::kProcess);
  for (int i = 0; i < 100; ++i) {
    Announce(std::string(10000, 'x'), 10);
    cluster_->RunUntil([&] { return lines_.size() == 10 * static_cast<size_t>(i + 1); });
  }
  EXPECT_THAT(lines_, SizeIs(1000));
  cluster_->world().Resume("other");
  cluster_->Run(absl::Seconds(5));
  EXPECT_THAT(others_lines_, SizeIs(::testing::AllOf(::testing::Gt(100u), ::testing::Lt(1000u))));
  others_lines_.clear();
  Announce("awake?");
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(others_lines_, ElementsAre("ann: awake?"));
}

TEST_P(ObserverTest, IsCalledByOtherClientsAndByItsOwn) {
  StartRoom(2);
  auto& other = AnotherClient("other");
  auto mine = client_->Observe<Screen>(lines_);
  auto theirs = other.Observe<Screen>(others_lines_);
  Join("bob", theirs.ref());
  EXPECT_EQ(cluster_->Await(mine.ref().Said("me", "self")), 1u);
  auto ref = ReferTo<Guest>(client_->Origin(), theirs.ref().id());
  EXPECT_EQ(ref, theirs.ref());
  EXPECT_EQ(cluster_->Await(ref.Said("me", "hi")), 1u);
  EXPECT_THAT(lines_, ElementsAre("me: self"));
  EXPECT_THAT(others_lines_, ElementsAre("me: hi"));
  cluster_->RemoveClient("other");
  cluster_->Run(absl::Seconds(1));
  EXPECT_THAT(ErrorOf(ref.Said("me", "hi").AsPromise().ignoreResult()),
              HasSubstr("is not connected to node"));
}

TEST_P(ObserverTest, ACallOfAClientIsNotMadeAgainWhenItsNodeDies) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto theirs = other.Observe<Sleeper>();
  cluster_->Run(absl::Milliseconds(100));  // Until all nodes know of it.
  auto ref = ReferTo<Guest>(client_->Origin(), theirs.ref().id());
  std::string error = "pending";
  auto asked =
      ref.Said("me", "hi")
          .AsPromise()
          .then([&](uint64_t) { error = "answered"; }, [&](kj::Exception&& e) { error = Words(e); })
          .eagerlyEvaluate(nullptr);
  ASSERT_TRUE(cluster_->RunUntil([&] { return theirs->begun.size() == 1; }));
  for (const std::string name : {"a", "b", "c"}) {  // One of them has it.
    cluster_->Kill(name);
    cluster_->Run(absl::Seconds(1));
    cluster_->Restart(name);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  EXPECT_THAT(error, HasSubstr("may not have reached it"));
  EXPECT_THAT(theirs->begun, SizeIs(1));
}

TEST_P(ObserverTest, KeysOfUsersCannotBeginAsItsName) {
  StartRoom();
  auto screen = client_->Observe<Screen>(lines_);
  const std::string key = screen.ref().key();
  EXPECT_THAT(screen.ref().ToString(), ::testing::StartsWith("Guest/observer-1@"));
  std::string error = "none";
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { client_->Get<Lobby>(key); })) error = Words(*e);
  EXPECT_THAT(error, HasSubstr("use the ref that Client::Observe() gave"));
  // What goes around that is told so as well.
  auto odd = ReferTo<Lobby>(client_->Origin(), {capnp::typeId<Lobby>(), key.substr(0, 20)});
  EXPECT_THAT(ErrorOf(odd.Members().AsPromise().ignoreResult()), HasSubstr("but is none of them"));
  auto other_type = ReferTo<Lobby>(client_->Origin(), {capnp::typeId<Lobby>(), key});
  EXPECT_THAT(ErrorOf(other_type.Members().AsPromise().ignoreResult()), HasSubstr("is not "));
}

TEST_P(ObserverTest, OutlivesItsClientAndIsThenNobody) {
  StartRoom();
  auto& other = AnotherClient("other");
  auto theirs = other.Observe<Sleeper>();
  Join("bob", theirs.ref());
  auto asked = At().Ask("bob", "zzz", 20000).AsPromise().eagerlyEvaluate(nullptr);
  cluster_->Run(absl::Seconds(1));
  cluster_->RemoveClient("other");
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(Say("hello"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ObserverTest, ::testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace troupe
