// Links: who is let in, what ends them, and that frames arrive whole, in order and in time.
#include "troupe/rpc/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/link_pool.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/sim_world.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

constexpr uint16_t kTestKind = 79;

Introduction Of(std::string node, uint64_t nonce) {
  Introduction out;
  out.node = std::move(node);
  out.nonce = {nonce, nonce};
  return out;
}

// Keeps what a link delivered.
class Recorder final : public Link::Receiver {
 public:
  void OnFrame(Link&, kj::Own<Frame> frame) override {
    sizes.push_back(frame->payload().size());
    transits.push_back(frame->transit());
    names.push_back(frame->header<wire::Refusal>().getDetail().cStr());
  }
  void OnEnd(Link&, LinkEnd how, std::string text) override {
    end = how;
    detail = std::move(text);
  }
  std::vector<size_t> sizes;
  std::vector<std::string> names;
  std::vector<absl::Duration> transits;
  std::optional<LinkEnd> end;
  std::string detail;
};

class LinkTest : public ::testing::Test {
 protected:
  LinkTest()
      : world_(1), server_(world_.AddMachine("server")), client_(world_.AddMachine("client")) {
    listener_ = std::move(server_.control().network().Listen(Address())).value();
    tasks_ = AcceptLoop().eagerlyEvaluate([](kj::Exception&&) {});
  }
  ~LinkTest() noexcept override {}
  std::string Address() { return absl::StrCat(world_.Ip("server"), ":7100"); }

  kj::Promise<void> AcceptLoop() {
    return listener_->Accept().then([this](Accepted&& accepted) {
      auto& host = server_.control();
      auto& stream = *accepted.stream;
      accepting_ =
          ReadGreeting(host, stream)
              .then([this, &host, stream = kj::mv(accepted.stream)](Greeting&& greeting) mutable {
                greeting_ = greeting;
                KJ_REQUIRE(greeting.kind == Greeting::Kind::kTroupe, "another protocol");
                return AcceptLink(host, kj::mv(stream), ours_, [](const Introduction&) {
                  return std::optional<RefusalReason>();
                });
              })
              .then([this](kj::Own<Link> link) {
                accepted_ = kj::mv(link);
                accepted_->Start(at_server_);
              })
              .eagerlyEvaluate([this](kj::Exception&& e) { refused_ = Words(e); });
      return AcceptLoop();
    });
  }

  DialedLink Dial(Introduction introduction) {
    std::optional<DialedLink> result;
    auto dialing = DialLink(client_.control(), Address(), Lane::kData, 3, std::move(introduction),
                            absl::Seconds(2))
                       .then([&](DialedLink&& dialed) { result.emplace(kj::mv(dialed)); })
                       .eagerlyEvaluate(nullptr);
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, absl::Seconds(10)));
    world_.RunFor(absl::Milliseconds(20));
    return kj::mv(*result);
  }
  void SendFrame(Link& link, const std::string& name, size_t payload_words) {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::Refusal>().setDetail(name.c_str());
    auto payload = kj::heapArray<capnp::word>(payload_words);
    std::memset(static_cast<void*>(payload.begin()), 7, payload_words * sizeof(capnp::word));
    link.stream().Send(kTestKind, message, payload);
  }

  SimWorld world_;
  Machine& server_;
  Machine& client_;
  Introduction ours_ = Of("server", 1);
  kj::Own<Listener> listener_;
  Recorder at_server_;
  std::optional<Greeting> greeting_;
  std::string refused_;
  kj::Own<Link> accepted_;
  kj::Promise<void> accepting_ = nullptr;
  kj::Promise<void> tasks_ = nullptr;
};

TEST_F(LinkTest, BothSidesLearnWhoTheOtherIs) {
  auto mine = Of("client", 2);
  mine.boot = 17;
  auto dialed = Dial(mine);
  ASSERT_NE(dialed.link.get(), nullptr) << dialed.detail;
  EXPECT_EQ(dialed.link->peer().node, "server");
  EXPECT_EQ(accepted_->peer().node, "client");
  EXPECT_EQ(accepted_->peer().boot, 17u);
  EXPECT_EQ(greeting_->lane, Lane::kData);
  EXPECT_EQ(greeting_->worker, 3);
}

TEST_F(LinkTest, FramesArriveWholeAndInOrderWhateverTheirSize) {
  auto dialed = Dial(Of("client", 2));
  const std::vector<size_t> sizes = {0, 1, 1000, 100'000, 3, 8191, 8192, 8193, 0};
  for (size_t size : sizes) SendFrame(*dialed.link, absl::StrCat(size), size);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(at_server_.sizes, sizes);
}

TEST_F(LinkTest, TimeSpentUnderWayIsCounted) {
  auto dialed = Dial(Of("client", 2));
  SendFrame(*dialed.link, "first", 0);
  world_.RunFor(absl::Milliseconds(100));
  world_.Cut("client", "server");
  SendFrame(*dialed.link, "late", 0);
  world_.RunFor(absl::Milliseconds(700));
  world_.HealAll();
  world_.RunFor(absl::Seconds(5));
  ASSERT_EQ(at_server_.transits.size(), 2u);
  EXPECT_LT(at_server_.transits[0], absl::Milliseconds(5));
  EXPECT_GE(at_server_.transits[1], absl::Milliseconds(690));
}

TEST_F(LinkTest, AnotherClustersNameIsRefusedWithBothNames) {
  auto mine = Of("client", 2);
  mine.cluster_name = "other";
  auto dialed = Dial(mine);
  EXPECT_EQ(dialed.link.get(), nullptr);
  EXPECT_EQ(dialed.refused, wire::Refusal::Reason::CLUSTER_NAME);
  EXPECT_THAT(dialed.detail, HasSubstr("\"troupe\""));
  EXPECT_THAT(dialed.detail, HasSubstr("\"other\""));
  EXPECT_EQ(refused_, dialed.detail);
}

TEST_F(LinkTest, AnotherClustersIdIsRefused) {
  ours_.cluster = {5, 5};
  auto mine = Of("client", 2);
  mine.cluster = {6, 6};
  EXPECT_EQ(Dial(mine).refused, wire::Refusal::Reason::CLUSTER_ID);
}

TEST_F(LinkTest, AnOlderGenerationIsRefused) {
  ours_.generation = 2;
  auto mine = Of("client", 2);
  mine.generation = 1;
  EXPECT_EQ(Dial(mine).refused, wire::Refusal::Reason::GENERATION);
}

TEST_F(LinkTest, AnotherNodeThanTheOneMeantRefuses) {
  auto mine = Of("client", 2);
  mine.target = "elsewhere";
  EXPECT_EQ(Dial(mine).refused, wire::Refusal::Reason::WRONG_TARGET);
}

TEST_F(LinkTest, ANodeThatDialsItselfIsTold) {
  EXPECT_EQ(Dial(Of("server", 1)).refused, wire::Refusal::Reason::OWN_ADDRESS);
}

TEST(Judge, VersionsThatDoNotOverlapAreRefused) {
  const auto refusal = Judge(Of("a", 1), Of("b", 2), 7, 9);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->reason, wire::Refusal::Reason::VERSION);
  EXPECT_THAT(refusal->detail, HasSubstr("7 to 9"));
}

TEST_F(LinkTest, RandomBytesAreTakenForAnotherProtocolAndHarmNothing) {
  kj::Own<kj::AsyncIoStream> stream;
  auto dialing = client_.control()
                     .network()
                     .Dial(Address(), absl::Seconds(1))
                     .then([&](Dialed&& dialed) {
                       stream = kj::mv(dialed.stream);
                       return stream->write("GET / HTTP/1.1\r\n\r\n", 18);
                     })
                     .eagerlyEvaluate(nullptr);
  world_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(greeting_.has_value());
  EXPECT_EQ(greeting_->kind, Greeting::Kind::kOther);
  EXPECT_EQ(greeting_->first_bytes, "GET / HT");
  EXPECT_NE(Dial(Of("client", 2)).link.get(), nullptr);
}

TEST_F(LinkTest, AHalfOpenPeerIsDroppedInTime) {
  kj::Own<kj::AsyncIoStream> stream;
  auto dialing = client_.control()
                     .network()
                     .Dial(Address(), absl::Seconds(1))
                     .then([&](Dialed&& dialed) { stream = kj::mv(dialed.stream); })
                     .eagerlyEvaluate(nullptr);
  world_.RunFor(absl::Seconds(6));
  EXPECT_FALSE(refused_.empty());
}

TEST_F(LinkTest, AFrameOverTheSizeLimitEndsTheLink) {
  auto dialed = Dial(Of("client", 2));
  const uint32_t prefix[4] = {1, 0x7fffffff, kTestKind, 0};
  dialed.link->stream().SendPreamble({reinterpret_cast<const kj::byte*>(prefix), sizeof prefix});
  world_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(at_server_.end.has_value());
  EXPECT_EQ(*at_server_.end, LinkEnd::kMalformed);
  EXPECT_THAT(at_server_.detail, HasSubstr("size limit"));
}

TEST_F(LinkTest, NoMoreThanAHelloIsBufferedOfAStranger) {
  Introduction long_name = Of("client", 2);
  long_name.node.assign(kHelloBytesMax, 'n');
  EXPECT_EQ(Dial(long_name).link.get(), nullptr);
  EXPECT_THAT(refused_, HasSubstr("over the size limit"));
}

TEST_F(LinkTest, GarbageInsteadOfAFrameEndsTheLink) {
  auto dialed = Dial(Of("client", 2));
  std::vector<kj::byte> garbage(4096);
  for (size_t i = 0; i < garbage.size(); ++i) garbage[i] = static_cast<kj::byte>(i * 37 + 11);
  dialed.link->stream().SendPreamble({garbage.data(), garbage.size()});
  world_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(at_server_.end.has_value());
  EXPECT_EQ(*at_server_.end, LinkEnd::kMalformed);
}

TEST_F(LinkTest, TheEndOfThePeerIsTold) {
  auto dialed = Dial(Of("client", 2));
  dialed.link = nullptr;
  world_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(at_server_.end.has_value());
  EXPECT_EQ(*at_server_.end, LinkEnd::kClosed);
}

// ---- LinkPool

class PoolWatcher final : public LinkPool::Watcher {
 public:
  void OnLinkUp(const std::string&, Link&) override { ++ups; }
  void OnLinkFrame(const std::string&, Link&, kj::Own<Frame>) override {}
  void OnLinkDown(const std::string&, const LinkLoss& loss) override { losses.push_back(loss); }
  int ups = 0;
  std::vector<LinkLoss> losses;
};

TEST_F(LinkTest, APoolDialsAgainUntilThePeerIsThere) {
  listener_ = {};
  tasks_ = nullptr;
  PoolWatcher watcher;
  LinkPool pool(
      client_.control(), Lane::kData, 0, [] { return Of("client", 2); }, watcher);
  pool.Want("server", Address(), 0);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(watcher.ups, 0);
  ASSERT_GE(watcher.losses.size(), 3u);
  EXPECT_EQ(watcher.losses[0].dial, DialOutcome::kRefused);
  listener_ = std::move(server_.control().network().Listen(Address())).value();
  tasks_ = AcceptLoop().eagerlyEvaluate([](kj::Exception&&) {});
  world_.RunFor(absl::Seconds(3));
  EXPECT_EQ(watcher.ups, 1);
  EXPECT_NE(pool.Find("server"), nullptr);
  pool.Forget("server");
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(pool.Find("server"), nullptr);
  EXPECT_TRUE(at_server_.end.has_value());
}

TEST_F(LinkTest, APoolReplacesALinkThatBroke) {
  PoolWatcher watcher;
  LinkPool pool(
      client_.control(), Lane::kData, 0, [] { return Of("client", 2); }, watcher);
  pool.Want("server", Address(), 0);
  world_.RunFor(absl::Seconds(1));
  ASSERT_EQ(watcher.ups, 1);
  world_.ResetConnections("client", "server");
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(watcher.ups, 2);
  ASSERT_EQ(watcher.losses.size(), 1u);
  EXPECT_TRUE(watcher.losses[0].was_up);
  EXPECT_EQ(watcher.losses[0].end, LinkEnd::kReset);
}

TEST_F(LinkTest, APoolTellsWhenItReplacesALinkForANewerRun) {
  PoolWatcher watcher;
  LinkPool pool(
      client_.control(), Lane::kData, 0, [] { return Of("client", 2); }, watcher);
  pool.Want("server", Address(), 7);
  world_.RunFor(absl::Seconds(1));
  ASSERT_EQ(watcher.ups, 1);
  pool.Want("server", Address(), 8);
  ASSERT_EQ(watcher.losses.size(), 1u);
  EXPECT_TRUE(watcher.losses[0].replaced);
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(watcher.ups, 2);
}

}  // namespace
}  // namespace troupe
