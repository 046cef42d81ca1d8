// UvNetwork: streams, dial outcomes, datagrams and names on loopback.
#include "troupe/runtime/uv_network.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "uv_loop.h"

namespace troupe {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

constexpr absl::Duration kLimit = absl::Seconds(5);

struct Pair {
  kj::Own<kj::AsyncIoStream> client, server;
};

std::string UnixAddress(const char* name) {
  return absl::StrCat("unix:", testing::TempDir(), "troupe-", ::getpid(), "-", name);
}

Pair Connect(UvLoop& loop, const std::string& address) {
  auto listener = loop.network.Listen(address);
  if (!listener.ok()) ADD_FAILURE() << listener.status();
  auto accepting = (*listener)->Accept();
  Dialed dialed = loop.network.Dial((*listener)->address(), kLimit).wait(loop.scope);
  EXPECT_EQ(dialed.outcome, DialOutcome::kConnected) << dialed.detail;
  return {kj::mv(dialed.stream), accepting.wait(loop.scope).stream};
}

std::string ReadText(UvLoop& loop, kj::AsyncIoStream& stream, size_t min, size_t max) {
  std::string text(max, '\0');
  text.resize(stream.tryRead(text.data(), min, max).wait(loop.scope));
  return text;
}

void Write(UvLoop& loop, kj::AsyncIoStream& stream, const std::string& text) {
  stream.write(text.data(), text.size()).wait(loop.scope);
}

kj::Exception::Type FailureOf(kj::Promise<void> promise, UvLoop& loop) {
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() { promise.wait(loop.scope); }))
    return e->getType();
  ADD_FAILURE() << "no failure";
  return kj::Exception::Type::FAILED;
}

// Makes the other end see a reset rather than an end.
void Reset(kj::Own<kj::AsyncIoStream> stream) {
  linger hard{1, 0};
  stream->setsockopt(SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

std::vector<kj::byte> Pattern(size_t size) {
  std::vector<kj::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<kj::byte>(i * 31 + (i >> 12));
  return bytes;
}

class UvStreams : public testing::TestWithParam<const char*> {
 protected:
  Pair Connected() {
    std::string address = GetParam();
    return Connect(loop_, address == "unix" ? UnixAddress("stream") : address);
  }
  UvLoop loop_;
};

INSTANTIATE_TEST_SUITE_P(Families, UvStreams, testing::Values("127.0.0.1:0", "[::1]:0", "unix"),
                         [](const auto& info) {
                           std::string name = info.param;
                           return name == "unix" ? "Unix" : name[0] == '[' ? "V6" : "V4";
                         });

TEST_P(UvStreams, EchoesManySmallMessages) {
  Pair pair = Connected();
  for (int i = 0; i < 1000; ++i) {
    std::string sent = absl::StrCat("message ", i);
    Write(loop_, *pair.client, sent);
    ASSERT_EQ(ReadText(loop_, *pair.server, sent.size(), 100), sent);
    Write(loop_, *pair.server, sent);
    ASSERT_EQ(ReadText(loop_, *pair.client, sent.size(), sent.size()), sent);
  }
}

TEST_P(UvStreams, CarriesMuchInBothDirectionsAtOnce) {
  Pair pair = Connected();
  const std::vector<kj::byte> bytes = Pattern(20'000'000);
  std::vector<kj::byte> at_server(bytes.size()), at_client(bytes.size());
  auto writing = pair.client->write(bytes.data(), bytes.size());
  auto back = pair.server->write(bytes.data(), bytes.size());
  auto reading = pair.server->read(at_server.data(), bytes.size(), bytes.size());
  auto reading_back = pair.client->read(at_client.data(), bytes.size(), bytes.size());
  writing.wait(loop_.scope);
  back.wait(loop_.scope);
  reading.wait(loop_.scope);
  reading_back.wait(loop_.scope);
  EXPECT_TRUE(at_server == bytes);
  EXPECT_TRUE(at_client == bytes);
}

TEST_P(UvStreams, WritesManyPiecesInOrderThoughTheListIsGone) {
  Pair pair = Connected();
  const std::vector<kj::byte> bytes = Pattern(5'000'000);
  kj::Promise<void> writing = nullptr;
  {
    std::vector<kj::ArrayPtr<const kj::byte>> pieces;
    for (size_t at = 0, size = 0; at < bytes.size(); at += size, size = (size + 7919) % 50'000) {
      pieces.push_back(kj::arrayPtr(bytes.data() + at, std::min(size, bytes.size() - at)));
    }
    size_t have = 0;
    for (auto& piece : pieces) have += piece.size();
    if (have < bytes.size())
      pieces.push_back(kj::arrayPtr(bytes.data() + have, bytes.size() - have));
    writing = pair.client->write(kj::arrayPtr(pieces.data(), pieces.size()));
  }
  std::vector<kj::byte> got(bytes.size());
  pair.server->read(got.data(), got.size(), got.size()).wait(loop_.scope);
  writing.wait(loop_.scope);
  EXPECT_TRUE(got == bytes);
}

TEST_P(UvStreams, EndOfStreamReturnsLessThanAsked) {
  Pair pair = Connected();
  Write(loop_, *pair.client, "abc");
  pair.client->shutdownWrite();
  EXPECT_EQ(ReadText(loop_, *pair.server, 10, 10), "abc");
  EXPECT_EQ(ReadText(loop_, *pair.server, 1, 10), "");
  Write(loop_, *pair.server, "still open");
  EXPECT_EQ(ReadText(loop_, *pair.client, 10, 10), "still open");
}

TEST_P(UvStreams, EndArrivesAtAWaitingReader) {
  Pair pair = Connected();
  char buffer[8];
  auto reading = pair.server->tryRead(buffer, 1, 8);
  EXPECT_FALSE(reading.poll(loop_.scope));
  pair.client = nullptr;
  EXPECT_EQ(reading.wait(loop_.scope), 0u);
}

TEST_P(UvStreams, CancelledReadLeavesTheStreamUsable) {
  Pair pair = Connected();
  for (int i = 0; i < 100; ++i) {
    {
      char gone[16];
      auto reading = pair.server->tryRead(gone, 1, sizeof gone);
      EXPECT_FALSE(reading.poll(loop_.scope));
    }
    Write(loop_, *pair.client, "hello");
    loop_.timer().afterDelay(kj::MICROSECONDS).wait(loop_.scope);  // The event finds no reader.
    EXPECT_EQ(ReadText(loop_, *pair.server, 5, 16), "hello");
  }
}

TEST_P(UvStreams, CancelledWriteIsForgotten) {
  Pair pair = Connected();
  {
    const std::vector<kj::byte> bytes = Pattern(20'000'000);
    auto writing = pair.client->write(bytes.data(), bytes.size());
    EXPECT_FALSE(writing.poll(loop_.scope));
  }
  char buffer[65536];
  pair.server->tryRead(buffer, 1, sizeof buffer).wait(loop_.scope);
  loop_.timer().afterDelay(2 * kj::MILLISECONDS).wait(loop_.scope);
  pair.client = nullptr;
  while (pair.server->tryRead(buffer, 1, sizeof buffer).wait(loop_.scope) > 0) {
  }
}

TEST_P(UvStreams, DroppedStreamRejectsWhatWaits) {
  Pair pair = Connected();
  char buffer[8];
  auto reading = pair.server->tryRead(buffer, 1, 8).ignoreResult();
  pair.server = nullptr;
  EXPECT_EQ(FailureOf(kj::mv(reading), loop_), kj::Exception::Type::DISCONNECTED);
}

TEST_P(UvStreams, WriteToAClosedPeerIsDisconnected) {
  Pair pair = Connected();
  pair.server = nullptr;
  auto hung_up = pair.client->whenWriteDisconnected();
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&]() {
                 for (int i = 0; i < 1000; ++i) {
                   Write(loop_, *pair.client, std::string(1000, 'x'));
                   loop_.timer().afterDelay(kj::MICROSECONDS).wait(loop_.scope);
                 }
               })) {
    EXPECT_EQ(e->getType(), kj::Exception::Type::DISCONNECTED);
  } else {
    ADD_FAILURE() << "write went on";
  }
  hung_up.wait(loop_.scope);
}

TEST_P(UvStreams, MovesToAnotherLoopWithItsUnreadBytes) {
  Pair pair = Connected();
  Write(loop_, *pair.client, "one two");
  EXPECT_EQ(ReadText(loop_, *pair.server, 4, 4), "one ");
  kj::Own<DetachedStream> moving = loop_.network.Detach(kj::mv(pair.server));
  std::thread([&moving] {
    UvLoop other;
    auto stream = other.network.Attach(kj::mv(moving));
    EXPECT_EQ(ReadText(other, *stream, 3, 3), "two");
    Write(other, *stream, "three");
  }).join();
  EXPECT_EQ(ReadText(loop_, *pair.client, 5, 5), "three");
  EXPECT_EQ(ReadText(loop_, *pair.client, 1, 5), "");
}

TEST(UvStream, ResetRejectsTheReader) {
  UvLoop loop;
  Pair pair = Connect(loop, "127.0.0.1:0");
  char buffer[8];
  auto reading = pair.server->tryRead(buffer, 1, 8).ignoreResult();
  Reset(kj::mv(pair.client));
  EXPECT_EQ(FailureOf(kj::mv(reading), loop), kj::Exception::Type::DISCONNECTED);
}

TEST(UvStream, HangUpIsToldToWhoWaitsForNothingElse) {
  UvLoop loop;
  Pair pair = Connect(loop, "127.0.0.1:0");
  auto first = pair.server->whenWriteDisconnected();
  auto second = pair.server->whenWriteDisconnected();
  EXPECT_FALSE(first.poll(loop.scope));
  Reset(kj::mv(pair.client));
  first.wait(loop.scope);
  second.wait(loop.scope);
}

TEST(UvStream, BusyReaderDoesNotStarveTimers) {
  UvLoop loop;
  Pair pair = Connect(loop, "127.0.0.1:0");
  const std::vector<kj::byte> bytes = Pattern(1 << 20);
  kj::Function<kj::Promise<void>()> write = [&]() {
    return pair.client->write(bytes.data(), bytes.size()).then([&]() { return write(); });
  };
  std::vector<kj::byte> sink(4096);
  kj::Function<kj::Promise<void>()> read = [&]() {
    return pair.server->tryRead(sink.data(), 1, sink.size()).then([&](size_t) { return read(); });
  };
  auto writing = write().eagerlyEvaluate(nullptr);
  auto reading = read().eagerlyEvaluate(nullptr);
  const kj::TimePoint start = kj::systemPreciseMonotonicClock().now();
  loop.timer().afterDelay(20 * kj::MILLISECONDS).wait(loop.scope);
  EXPECT_LT(kj::systemPreciseMonotonicClock().now() - start, 1 * kj::SECONDS);
}

// What is ready but wanted by nobody must not keep the loop busy.
TEST(UvNetwork, SleepsWhileNobodyTakesWhatIsReady) {
  UvLoop loop;
  Pair unread = Connect(loop, "127.0.0.1:0"), ended = Connect(loop, "127.0.0.1:0");
  Pair reset = Connect(loop, "127.0.0.1:0"), written = Connect(loop, "127.0.0.1:0");
  Pair watched = Connect(loop, UnixAddress("watched"));
  auto listener = loop.network.Listen("127.0.0.1:0");
  auto socket = loop.network.Bind("127.0.0.1:0");
  const std::vector<kj::byte> bytes = Pattern(20'000'000);
  auto writing = written.client->write(bytes.data(), bytes.size());
  char buffer[16];
  for (Pair* pair : {&unread, &ended, &reset}) {  // Arms the interest that then nobody uses.
    auto dropped = pair->server->tryRead(buffer, 1, sizeof buffer);
  }
  auto hung_up = watched.server->whenWriteDisconnected();
  { auto dropped = (*listener)->Accept(); }
  { auto dropped = (*socket)->Receive(); }

  Write(loop, *unread.client, "data");
  ended.client = nullptr;
  Reset(kj::mv(reset.client));
  watched.client = nullptr;
  auto waiting = loop.network.Dial((*listener)->address(), kLimit).wait(loop.scope);
  std::string nobody = (*loop.network.Bind("127.0.0.1:0"))->address();
  (*socket)->Send(nobody, std::as_bytes(std::span("x")));
  (*socket)->Send(nobody, std::as_bytes(std::span("x")));

  rusage before, after;
  ::getrusage(RUSAGE_THREAD, &before);
  loop.timer().afterDelay(100 * kj::MILLISECONDS).wait(loop.scope);
  ::getrusage(RUSAGE_THREAD, &after);
  auto cpu_us = [](const rusage& r) {
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1'000'000 + r.ru_utime.tv_usec +
           r.ru_stime.tv_usec;
  };
  EXPECT_LT(cpu_us(after) - cpu_us(before), 30'000);
  hung_up.wait(loop.scope);
  EXPECT_EQ((*socket)->Receive().wait(loop.scope).kind, DatagramEvent::Kind::kRefused);
}

TEST(UvDial, ClosedPortRefuses) {
  UvLoop loop;
  std::string address;
  {
    auto listener = loop.network.Listen("127.0.0.1:0");
    address = (*listener)->address();
  }
  Dialed dialed = loop.network.Dial(address, kLimit).wait(loop.scope);
  EXPECT_EQ(dialed.outcome, DialOutcome::kRefused);
  EXPECT_THAT(dialed.detail, HasSubstr(address));
  EXPECT_EQ(dialed.stream.get(), nullptr);
}

TEST(UvDial, NeverConnectsToItself) {
  UvLoop loop;
  // The kernel walks through its ephemeral ports from one dial of an address to the next. When it
  // comes to the port that is being dialled, the socket meets itself and is connected.
  std::string address;
  {
    auto listener = loop.network.Listen("127.0.0.1:0");
    auto accepting = (*listener)->Accept();
    auto client = loop.network.Dial((*listener)->address(), kLimit).wait(loop.scope);
    Accepted accepted = accepting.wait(loop.scope);
    address = accepted.peer_address;  // An ephemeral port as dialling gets them; then unused.
    Reset(kj::mv(client.stream));
  }
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(loop.network.Dial(address, kLimit).wait(loop.scope).outcome, DialOutcome::kRefused);
  }
}

TEST(UvDial, FullBacklogTimesOut) {
  UvLoop loop;
  const std::string address = UnixAddress("full");
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un un = {};
  un.sun_family = AF_UNIX;
  address.substr(5).copy(un.sun_path, sizeof un.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  std::vector<kj::Own<kj::AsyncIoStream>> held;
  Dialed last;
  for (int i = 0; i < 3; ++i) {
    last = loop.network.Dial(address, absl::Milliseconds(30)).wait(loop.scope);
    held.push_back(kj::mv(last.stream));
  }
  EXPECT_EQ(last.outcome, DialOutcome::kTimedOut) << last.detail;
  ::close(fd);
  ::unlink(un.sun_path);
}

TEST(UvDial, NonsenseIsALocalFailure) {
  UvLoop loop;
  for (const char* address : {"", "localhost:1", "1.2.3.4", "1.2.3.4:99999", "[::1:80", "unix:"}) {
    Dialed dialed = loop.network.Dial(address, kLimit).wait(loop.scope);
    EXPECT_EQ(dialed.outcome, DialOutcome::kLocalFailure) << address;
    EXPECT_THAT(dialed.detail, HasSubstr(address));
  }
}

TEST(UvDial, MissingUnixSocketIsUnreachable) {
  UvLoop loop;
  EXPECT_EQ(loop.network.Dial(UnixAddress("missing"), kLimit).wait(loop.scope).outcome,
            DialOutcome::kUnreachable);
}

TEST(UvDial, MayBeCancelled) {
  UvLoop loop;
  auto listener = loop.network.Listen("127.0.0.1:0");
  for (int i = 0; i < 100; ++i) auto dropped = loop.network.Dial((*listener)->address(), kLimit);
  loop.timer().afterDelay(kj::MILLISECONDS).wait(loop.scope);
}

TEST(UvListen, PortInUseNamesTheAddress) {
  UvLoop loop;
  auto first = loop.network.Listen("127.0.0.1:0");
  std::string address = (*first)->address();
  auto second = loop.network.Listen(address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
  auto third = loop.network.Listen("localhost:80");
  EXPECT_EQ(third.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(UvListen, PortIsFreeAgainAtOnce) {
  UvLoop loop;
  std::string address;
  {
    auto listener = loop.network.Listen("127.0.0.1:0");
    address = (*listener)->address();
    auto accepting = (*listener)->Accept();
    auto client = loop.network.Dial(address, kLimit).wait(loop.scope);
    auto server = accepting.wait(loop.scope);  // Closed first, so that it stays in TIME_WAIT.
  }
  EXPECT_TRUE(loop.network.Listen(address).ok());
}

TEST(UvListen, StaleUnixSocketIsReplacedAndALiveOneIsNot) {
  UvLoop loop;
  const std::string address = UnixAddress("stale");
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un un = {};
  un.sun_family = AF_UNIX;
  address.substr(5).copy(un.sun_path, sizeof un.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  ::close(fd);
  {
    auto listener = loop.network.Listen(address);
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_EQ(loop.network.Listen(address).status().code(), absl::StatusCode::kAlreadyExists);
  }
  EXPECT_NE(::access(un.sun_path, F_OK), 0);
}

TEST(UvListen, TellsThePeerAndSurvivesACancelledAccept) {
  UvLoop loop;
  auto listener = loop.network.Listen("127.0.0.1:0");
  { auto dropped = (*listener)->Accept(); }
  auto client = loop.network.Dial((*listener)->address(), kLimit).wait(loop.scope);
  loop.timer().afterDelay(kj::MILLISECONDS).wait(loop.scope);
  Accepted accepted = (*listener)->Accept().wait(loop.scope);
  EXPECT_THAT(accepted.peer_address, StartsWith("127.0.0.1:"));
}

TEST(UvDatagram, CarriesAMessageWithItsSender) {
  UvLoop loop;
  for (const char* any : {"127.0.0.1:0", "[::1]:0"}) {
    auto a = loop.network.Bind(any), b = loop.network.Bind(any);
    auto receiving = (*b)->Receive();
    EXPECT_FALSE(receiving.poll(loop.scope));
    const std::byte bytes[] = {std::byte{1}, std::byte{2}};
    EXPECT_EQ((*a)->Send((*b)->address(), bytes), SendOutcome::kSent);
    DatagramEvent event = receiving.wait(loop.scope);
    EXPECT_EQ(event.kind, DatagramEvent::Kind::kMessage);
    EXPECT_EQ(event.datagram.from, (*a)->address());
    EXPECT_THAT(event.datagram.bytes, testing::ElementsAre(std::byte{1}, std::byte{2}));
  }
}

TEST(UvDatagram, WildcardV6SocketSpeaksIpv4) {
  UvLoop loop;
  auto v6 = loop.network.Bind("[::]:0"), v4 = loop.network.Bind("127.0.0.1:0");
  const std::byte bytes[] = {std::byte{7}};
  EXPECT_EQ((*v6)->Send((*v4)->address(), bytes), SendOutcome::kSent);
  std::string from = (*v4)->Receive().wait(loop.scope).datagram.from;
  EXPECT_EQ((*v4)->Send(from, bytes), SendOutcome::kSent);
  EXPECT_EQ((*v6)->Receive().wait(loop.scope).datagram.from, (*v4)->address());
}

class UvRefusal : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, UvRefusal, testing::Values("127.0.0.1:0", "[::1]:0"),
                         [](const auto& info) { return info.param[0] == '[' ? "V6" : "V4"; });

TEST_P(UvRefusal, NamesWhereTheDatagramWasSent) {
  UvLoop loop;
  std::vector<std::string> closed;
  for (int i = 0; i < 3; ++i) {
    auto socket = loop.network.Bind(GetParam());
    closed.push_back((*socket)->address());
  }
  auto socket = loop.network.Bind(GetParam()), peer = loop.network.Bind(GetParam());
  const std::byte bytes[] = {std::byte{1}};
  auto receiving = (*socket)->Receive();
  EXPECT_EQ((*socket)->Send(closed[0], bytes), SendOutcome::kSent);
  DatagramEvent event = receiving.wait(loop.scope);
  EXPECT_EQ(event.kind, DatagramEvent::Kind::kRefused);
  EXPECT_EQ(event.datagram.from, closed[0]);

  // Several at once, with a good message in between: nothing is lost and sends still work.
  for (const std::string& address : closed) {
    EXPECT_EQ((*socket)->Send(address, bytes), SendOutcome::kSent);
    EXPECT_EQ((*socket)->Send((*peer)->address(), bytes), SendOutcome::kSent);
    EXPECT_EQ((*peer)->Send((*socket)->address(), bytes), SendOutcome::kSent);
  }
  std::vector<std::string> refused;
  int messages = 0;
  for (int i = 0; i < 6; ++i) {
    event = (*socket)->Receive().wait(loop.scope);
    if (event.kind == DatagramEvent::Kind::kRefused) refused.push_back(event.datagram.from);
    if (event.kind == DatagramEvent::Kind::kMessage) ++messages;
  }
  EXPECT_THAT(refused, testing::UnorderedElementsAreArray(closed));
  EXPECT_EQ(messages, 3);
}

TEST(UvResolve, FindsLocalhostAndPassesNumbersThrough) {
  UvLoop loop;
  EXPECT_THAT(loop.network.Resolve("localhost:80").wait(loop.scope), Contains("127.0.0.1:80"));
  EXPECT_THAT(loop.network.Resolve("10.1.2.3:80").wait(loop.scope),
              testing::ElementsAre("10.1.2.3:80"));
  EXPECT_THAT(loop.network.Resolve("[::1]:8").wait(loop.scope), testing::ElementsAre("[::1]:8"));
  EXPECT_TRUE(loop.network.Resolve("").wait(loop.scope).empty());
  EXPECT_TRUE(loop.network.Resolve("localhost").wait(loop.scope).empty());
  auto dropped = loop.network.Resolve("localhost:81");
}

}  // namespace
}  // namespace troupe
