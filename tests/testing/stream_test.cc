// Streams on real sockets: from a client of troupe's, and from an ordinary one of Cap'n Proto.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "capnp/rpc-twoparty.h"
#include "troupe/actors/gateway.capnp.h"
#include "troupe/testing/local_node.h"
#include "upload.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;
using testing::LocalNode;

class RealStreamTest : public ::testing::Test {
 protected:
  RealStreamTest() {
    node_.Host<UploadActor>([this] { return kj::heap<UploadActor>(office_); });
  }
  ~RealStreamTest() noexcept override {}
  Upload::Ref File(const std::string& key) { return node_.Get<Upload>(key); }
  double Seconds(Task<void> task) {
    const absl::Time before = node_.machine().control().clock().Now();
    node_.Await(kj::mv(task));
    return absl::ToDoubleSeconds(node_.machine().control().clock().Now() - before);
  }

  UploadOffice office_;  // The worker's, from the start.
  LocalNode node_;
};

TEST_F(RealStreamTest, SeveralAtATimeAreFasterThanOneByOne) {
  constexpr uint64_t kChunks = 4000;
  const std::string chunk(1024, 'x');
  auto one_by_one = [&]() -> Task<void> {
    const auto file = File("one by one");
    for (uint64_t i = 0; i < kChunks; ++i) co_await file.Write(i, chunk);
  };
  auto streamed = [&]() -> Task<void> {
    Upload::Writer out(File("streamed"));
    for (uint64_t i = 0; i < kChunks; ++i) co_await out.Write(i, chunk);
    co_await out.Done();
  };
  node_.Await(File("streamed").Look());
  const double slow = Seconds(one_by_one());
  const double fast = Seconds(streamed());
  std::printf("chunks of 1 KiB: one by one %.0f/s, streamed %.0f/s: %.1f times\n", kChunks / slow,
              kChunks / fast, slow / fast);
  EXPECT_EQ(node_.Await(File("one by one").Look()).chunks, kChunks);
  EXPECT_EQ(node_.Await(File("streamed").Look()).chunks, kChunks);
  EXPECT_GT(slow / fast, 1.2);
}

class GatewayStreamTest : public RealStreamTest {
 protected:
  ~GatewayStreamTest() noexcept override {}
  void Dial() {
    auto& network = node_.machine().control().network();
    stream_ = network.Dial(node_.node().address(), absl::Seconds(10)).wait(scope()).stream;
    client_ = kj::heap<capnp::TwoPartyClient>(*stream_);
  }
  Upload::Client FileOf(const std::string& key) {
    auto request = client_->bootstrap().castAs<gateway::Node>().actorRequest();
    request.setType(capnp::typeId<Upload>());
    request.setKey(kj::arrayPtr(reinterpret_cast<const kj::byte*>(key.data()), key.size()));
    return request.send().getActor().castAs<Upload>();
  }
  kj::Promise<void> Write(Upload::Client& file, uint64_t number) {
    auto request = file.writeRequest();
    request.setNumber(number);
    request.initChunk(1000);
    return request.send();
  }
  kj::WaitScope& scope() { return node_.machine().wait_scope(); }

  kj::Own<kj::AsyncIoStream> stream_;
  kj::Own<capnp::TwoPartyClient> client_;
};

TEST_F(GatewayStreamTest, AnOrdinaryClientStreams) {
  Dial();
  auto file = FileOf("file");
  for (uint64_t i = 0; i < 2000; ++i) Write(file, i).wait(scope());
  auto seen = file.lookRequest().send().wait(scope());
  EXPECT_EQ(seen.getChunks(), 2000u);
  EXPECT_EQ(seen.getRefused(), 0u);
}

TEST_F(GatewayStreamTest, AnOrdinaryClientIsToldOfAnErrorByALaterWrite) {
  office_.refuses = 3;
  Dial();
  auto file = FileOf("file");
  std::string error;
  // Its own window is as large as what a socket may hold.
  for (uint64_t i = 0; i < 100000 && error.empty(); ++i) {
    Write(file, i).catch_([&](kj::Exception&& e) { error = Words(e); }).wait(scope());
  }
  EXPECT_THAT(error, HasSubstr("the disk is full"));
}

TEST_F(GatewayStreamTest, AnOrdinaryClientThatIsMadeOfARefWaitsForEach) {
  Upload::Client file = File("file");
  Write(file, 0).wait(scope());
  EXPECT_EQ(node_.Await(File("file").Look()).chunks, 1u);
}

}  // namespace
}  // namespace troupe
