// The simulated network: streams, datagrams, dials, and what cuts, kills and losses do to them.
#include <algorithm>

#include "sim_test_util.h"

namespace troupe {
namespace {

using SimNetworkTest = SimTest;

std::string Pattern(size_t size) {
  std::string text(size, 0);
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 131) >> 3);
  return text;
}

TEST_F(SimNetworkTest, StreamCarriesBytesInOrderInPieces) {
  auto pair = Connect();
  Reader reader(*pair.server);
  std::string text = Pattern(1 << 20);
  Await(pair.client->write(text.data(), text.size()));
  pair.client->shutdownWrite();
  EXPECT_TRUE(world_.RunUntil([&]() { return reader.ended(); }, absl::Minutes(1)));
  EXPECT_TRUE(reader.text() == text);
  EXPECT_GT(reader.reads(), 256u);  // 4 KiB each at most.
}

TEST_F(SimNetworkTest, BothDirectionsAndHalfClose) {
  auto pair = Connect();
  pair.client->shutdownWrite();
  Reader server(*pair.server);
  world_.RunFor(kSoon);
  EXPECT_TRUE(server.ended());
  Reader client(*pair.client);
  std::string text = "still speaking";
  Await(pair.server->write(text.data(), text.size()));
  world_.RunFor(kSoon);
  EXPECT_EQ(client.text(), text);
  EXPECT_FALSE(client.ended());
}

TEST_F(SimNetworkTest, WritesWaitForASlowReader) {
  auto pair = Connect();
  std::string text = Pattern(1 << 20);
  Pending<void> written(pair.client->write(text.data(), text.size()));
  world_.RunFor(absl::Seconds(10));
  EXPECT_FALSE(written.done());
  Reader reader(*pair.server);
  world_.RunFor(absl::Seconds(10));
  EXPECT_TRUE(written.done());
  EXPECT_EQ(reader.text().size(), text.size());
}

TEST_F(SimNetworkTest, ReadOfAMinimumWaitsForIt) {
  auto pair = Connect();
  char buffer[100];
  Pending<size_t> read(pair.server->tryRead(buffer, 10, 100));
  Await(pair.client->write("12345", 5));
  world_.RunFor(kSoon);
  EXPECT_FALSE(read.done());
  Await(pair.client->write("67890", 5));
  world_.RunFor(kSoon);
  ASSERT_TRUE(read.done());
  EXPECT_EQ(std::string(buffer, read.value()), "1234567890");
}

TEST_F(SimNetworkTest, DialToAnUnboundPortIsRefused) {
  EXPECT_EQ(Dial("a", At("b", 9)), DialOutcome::kRefused);
  EXPECT_EQ(Dial("a", "nonsense"), DialOutcome::kLocalFailure);
}

TEST_F(SimNetworkTest, DialAcrossACutTimesOutAtItsLimit) {
  auto listener = *network("b").Listen("0.0.0.0:7000");
  world_.Cut("a", "b");
  auto start = world_.Now();
  EXPECT_EQ(Dial("a", At("b", 7000), absl::Milliseconds(100)), DialOutcome::kTimedOut);
  EXPECT_EQ(world_.Now() - start, absl::Milliseconds(100));
  EXPECT_EQ(Dial("a", "10.9.9.9:1", absl::Milliseconds(100)), DialOutcome::kTimedOut);
}

TEST_F(SimNetworkTest, DialSucceedsWhenTheCutHealsInTime) {
  auto listener = *network("b").Listen("0.0.0.0:7000");
  world_.CutOneWay("b", "a");
  world_.After(absl::Seconds(2), [this]() { world_.HealAll(); });
  EXPECT_EQ(Dial("a", At("b", 7000), absl::Seconds(10)), DialOutcome::kConnected);
}

TEST_F(SimNetworkTest, PortsAreExclusiveAndFreedByTheListener) {
  auto listener = *network("b").Listen(At("b", 7000));
  EXPECT_EQ(network("b").Listen("0.0.0.0:7000").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(network("b").Listen(At("a", 1)).status().code(), absl::StatusCode::kInvalidArgument);
  auto chosen = *network("b").Listen("127.0.0.1:0");
  EXPECT_NE(chosen->address(), At("b", 0));
  listener = nullptr;
  EXPECT_TRUE(network("b").Listen("0.0.0.0:7000").ok());
}

TEST_F(SimNetworkTest, UnixSocketsStayOnTheirMachine) {
  auto listener = *network("b").Listen("unix:/run/troupe");
  EXPECT_EQ(Dial("b", "unix:/run/troupe"), DialOutcome::kConnected);
  EXPECT_EQ(Dial("a", "unix:/run/troupe"), DialOutcome::kRefused);
}

TEST_F(SimNetworkTest, KillEndsThePeersStreamsAndRefusesDials) {
  auto pair = Connect();
  Reader reader(*pair.client);
  world_.OnDestroy("b", [&]() {
    listener_ = nullptr;
    pair.server = nullptr;
  });
  world_.Kill("b", SimDiskAfter::kKeep);
  EXPECT_FALSE(reader.ended());
  world_.RunFor(absl::Milliseconds(2));
  EXPECT_TRUE(reader.ended() || reader.reset());
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kRefused);
}

TEST_F(SimNetworkTest, KillWithUnreadBytesResetsThePeer) {
  auto pair = Connect();
  Await(pair.client->write("unread", 6));
  world_.RunFor(kSoon);
  Reader reader(*pair.client);
  world_.Kill("b", SimDiskAfter::kKeep);
  world_.RunFor(kSoon);
  EXPECT_TRUE(reader.reset());
  EXPECT_THROW(Await(pair.client->write("x", 1)), kj::Exception);
}

TEST_F(SimNetworkTest, AResetThatIsLostIsSentAgainForTheNextBytes) {
  auto pair = Connect();
  Await(pair.client->write("unread", 6));
  world_.RunFor(kSoon);
  Reader reader(*pair.client);
  world_.Cut("a", "b");
  world_.Kill("b", SimDiskAfter::kKeep);
  world_.RunFor(kSoon);
  world_.HealAll();
  world_.RunFor(kSoon);
  EXPECT_FALSE(reader.reset());
  Await(pair.client->write("anyone?", 7));
  world_.RunFor(kSoon);
  EXPECT_TRUE(reader.reset());
}

TEST_F(SimNetworkTest, PowerOffIsSilentUntilTheRestart) {
  auto pair = Connect();
  LetGoOnKill("b");
  Reader reader(*pair.client);
  Pending<void> disconnected(pair.client->whenWriteDisconnected());
  world_.PowerOff("b", SimDiskAfter::kKeep);
  Await(pair.client->write("anyone?", 7));
  world_.RunFor(absl::Minutes(1));
  EXPECT_FALSE(reader.ended() || reader.reset());
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kTimedOut);
  world_.Restart("b");
  world_.RunFor(kSoon);
  EXPECT_TRUE(reader.reset());  // The new kernel knows no such connection.
  EXPECT_TRUE(disconnected.done());
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kRefused);
}

TEST_F(SimNetworkTest, CutStreamStallsAndGoesOnInOrder) {
  auto pair = Connect();
  Reader reader(*pair.server);
  std::string text = Pattern(100000);
  Await(pair.client->write(text.data(), 50000));
  world_.RunFor(absl::Microseconds(500));
  world_.Cut("a", "b");
  Await(pair.client->write(text.data() + 50000, 50000));
  world_.RunFor(absl::Minutes(1));
  EXPECT_LT(reader.text().size(), text.size());
  EXPECT_FALSE(reader.ended() || reader.reset());
  world_.Heal("a", "b");
  world_.RunFor(kSoon);
  EXPECT_TRUE(reader.text() == text);
}

TEST_F(SimNetworkTest, OneWayCutLetsTheOtherWayThrough) {
  auto pair = Connect();
  Reader server(*pair.server), client(*pair.client);
  world_.CutOneWay("b", "a");
  Await(pair.client->write("ping", 4));
  Await(pair.server->write("pong", 4));
  world_.RunFor(kSoon);
  EXPECT_EQ(server.text(), "ping");
  EXPECT_EQ(client.text(), "");
  world_.HealAll();
  world_.RunFor(kSoon);
  EXPECT_EQ(client.text(), "pong");
}

TEST_F(SimNetworkTest, IsolateCutsOffFromAll) {
  auto listener = *network("b").Listen("0.0.0.0:7000");
  world_.Isolate("b");
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kTimedOut);
  EXPECT_EQ(Dial("c", At("b", 7000)), DialOutcome::kTimedOut);
  EXPECT_EQ(Dial("b", At("b", 7000)), DialOutcome::kConnected);
}

TEST_F(SimNetworkTest, FalseResetBreaksStreamsOfLiveMachines) {
  auto pair = Connect();
  Reader server(*pair.server), client(*pair.client);
  world_.ResetConnections("b", "a");
  world_.RunFor(kSoon);
  EXPECT_TRUE(server.reset() && client.reset());
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kConnected);
}

TEST_F(SimNetworkTest, ABoxInBetweenRefusesDialsOneWayUntilItAllowsThem) {
  auto at_a = *network("a").Listen("0.0.0.0:7000");
  auto at_b = *network("b").Listen("0.0.0.0:7000");
  world_.Refuse("a", "b");
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kRefused);
  EXPECT_EQ(Dial("b", At("a", 7000)), DialOutcome::kConnected);
  world_.Allow("a", "b");
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kConnected);
}

TEST_F(SimNetworkTest, PausedProcessStillAnswersDialsButNotAsAFrozenComputer) {
  auto listener = *network("b").Listen("0.0.0.0:7000");
  world_.Pause("b");
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kConnected);
  world_.Resume("b");
  world_.Pause("b", SimPause::kComputer);
  EXPECT_EQ(Dial("a", At("b", 7000)), DialOutcome::kTimedOut);
}

TEST_F(SimNetworkTest, DroppedReadLeavesTheBytesToTheNext) {
  auto pair = Connect();
  char buffer[10];
  { auto read = pair.server->tryRead(buffer, 1, 10); }
  Await(pair.client->write("text", 4));
  world_.RunFor(kSoon);
  Reader reader(*pair.server);
  world_.RunFor(kSoon);
  EXPECT_EQ(reader.text(), "text");
}

TEST_F(SimNetworkTest, DroppedDialLeavesNothingAtTheServer) {
  auto listener = *network("b").Listen("0.0.0.0:7000");
  Pending<Accepted> accepted(listener->Accept());
  { auto dial = network("a").Dial(At("b", 7000), absl::Seconds(1)); }
  world_.RunFor(kSoon);
  EXPECT_FALSE(accepted.done());
}

TEST_F(SimNetworkTest, DetachedStreamGoesOnAtAnotherHost) {
  auto pair = Connect();
  auto detached = network("b").Detach(kj::mv(pair.server));
  Await(pair.client->write("text", 4));
  auto attached = network("b").Attach(kj::mv(detached));
  Reader reader(*attached);
  world_.RunFor(kSoon);
  EXPECT_EQ(reader.text(), "text");
}

TEST_F(SimNetworkTest, ResolvesMachinesAndNames) {
  world_.AddName("cluster.example", {"a", "c"});
  EXPECT_EQ(Await(network("a").Resolve("b:7")), std::vector<std::string>{At("b", 7)});
  EXPECT_EQ(Await(network("a").Resolve("cluster.example:7")),
            (std::vector<std::string>{At("a", 7), At("c", 7)}));
  EXPECT_TRUE(Await(network("a").Resolve("nobody:7")).empty());
}

class SimDatagramTest : public SimTest {
 public:
  SimDatagramTest() {
    a_ = *network("a").Bind("0.0.0.0:5");
    b_ = *network("b").Bind("0.0.0.0:5");
  }
  ~SimDatagramTest() noexcept override {}

 protected:
  // What has arrived at b when `count` numbered datagrams were sent, one every millisecond.
  std::vector<int> SendNumbered(int count) {
    std::vector<int> arrived;
    auto receive = [&]() -> Task<void> {
      for (;;) {
        auto event = b_->Receive();
        auto got = co_await event;
        arrived.push_back(std::stoi(Text(got.datagram.bytes)));
      }
    };
    auto receiving = receive();
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(a_->Send(At("b", 5), Bytes(std::to_string(i))), SendOutcome::kSent);
      world_.RunFor(absl::Milliseconds(1));
    }
    world_.RunFor(kSoon);
    return arrived;
  }
  kj::Own<DatagramSocket> a_;
  kj::Own<DatagramSocket> b_;
};

TEST_F(SimDatagramTest, ArriveInOrderByDefaultWithTheirSender) {
  a_->Send(At("b", 5), Bytes("x"));
  auto event = Await(b_->Receive());
  EXPECT_EQ(event.kind, DatagramEvent::Kind::kMessage);
  EXPECT_EQ(event.datagram.from, At("a", 5));
  auto arrived = SendNumbered(100);
  EXPECT_EQ(arrived.size(), 100u);
  EXPECT_TRUE(std::is_sorted(arrived.begin(), arrived.end()));
}

TEST_F(SimDatagramTest, LossLosesSome) {
  SimLink link;
  link.loss = 0.5;
  world_.SetLink("a", "b", link);
  size_t arrived = SendNumbered(200).size();
  EXPECT_GT(arrived, 50u);
  EXPECT_LT(arrived, 150u);
}

TEST_F(SimDatagramTest, DuplicationDoublesSome) {
  SimLink link;
  link.duplicate = 0.5;
  world_.SetLink("a", "b", link);
  EXPECT_GT(SendNumbered(200).size(), 250u);
}

TEST_F(SimDatagramTest, ReorderingSwapsSome) {
  SimLink link;
  link.reorder = 0.3;
  world_.SetLink("a", "b", link);
  auto arrived = SendNumbered(200);
  EXPECT_EQ(arrived.size(), 200u);
  EXPECT_FALSE(std::is_sorted(arrived.begin(), arrived.end()));
}

TEST_F(SimDatagramTest, CloggedLinkIsSlow) {
  SimLink link;
  link.latency_min = link.latency_max = absl::Seconds(3);
  world_.SetLink("a", "b", link);
  auto start = world_.Now();
  a_->Send(At("b", 5), Bytes("x"));
  Await(b_->Receive());
  EXPECT_EQ(world_.Now() - start, absl::Seconds(3));
}

TEST_F(SimDatagramTest, CutLosesThem) {
  world_.Cut("a", "b");
  EXPECT_EQ(SendNumbered(10).size(), 0u);
  world_.HealAll();
  EXPECT_EQ(SendNumbered(10).size(), 10u);
}

TEST_F(SimDatagramTest, UnboundPortAnswersRefusedAndSilentHostDoesNot) {
  a_->Send(At("b", 6), Bytes("x"));
  auto event = Await(a_->Receive());
  EXPECT_EQ(event.kind, DatagramEvent::Kind::kRefused);
  EXPECT_EQ(event.datagram.from, At("b", 6));
  world_.OnDestroy("b", [this]() { b_ = nullptr; });
  world_.Kill("b", SimDiskAfter::kKeep);
  a_->Send(At("b", 5), Bytes("x"));
  EXPECT_EQ(Await(a_->Receive()).kind, DatagramEvent::Kind::kRefused);
  world_.PowerOff("b", SimDiskAfter::kKeep);
  Pending<DatagramEvent> silence(a_->Receive());
  a_->Send(At("b", 5), Bytes("x"));
  world_.RunFor(kSoon);
  EXPECT_FALSE(silence.done());
}

TEST_F(SimDatagramTest, FullBufferDrops) {
  for (int i = 0; i < 1000; ++i) a_->Send(At("b", 5), std::vector<std::byte>(1000));
  world_.RunFor(kSoon);
  size_t count = 0;
  for (;; ++count) {
    auto next = b_->Receive();
    if (!next.poll(world_.scope())) break;
    next.wait(world_.scope());
  }
  EXPECT_GT(count, 50u);
  EXPECT_LT(count, 300u);
}

}  // namespace
}  // namespace troupe
