// LocalNode: real sockets and threads in a test.
#include "troupe/testing/local_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "box_office.h"
#include "vault.h"

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using troupe::testing::LocalNode;

TEST(LocalNode, AnswersOnRealSockets) {
  LocalNode node;
  node.Host<BoxOfficeActor>();
  auto office = node.Get<BoxOffice>("hamlet");
  node.Await(office.Open(10));
  node.Await(office.Hold(4));
  EXPECT_EQ(node.Await(office.Left()), 6u);
  EXPECT_THAT(node.Fails(office.Hold(7)), HasSubstr("sold out"));
  EXPECT_THAT(node.address(), StartsWith("127.0.0.1:"));
}

TEST(LocalNode, HasADiskWhereATypeIsDurable) {
  LocalNode node;
  node.Host<troupe::VaultActor>();
  EXPECT_EQ(node.Await(node.Get<troupe::Vault>("x").Deposit(3)), 3u);
  EXPECT_EQ(node.Await(node.Get<troupe::Vault>("x").Deposit(4)), 7u);
  EXPECT_NE(node.machine().record_store(), nullptr);
}

struct Elsewhere final : BoxOffice::Actor {
  Task<void> Open(uint32_t) override { co_return; }
  Task<uint32_t> Sell(uint32_t, std::string) override { co_return 0; }
  Task<void> Hold(uint32_t) override { co_return; }
  Task<uint32_t> Left() override {
    co_return std::hash<std::thread::id>()(std::this_thread::get_id()) == test ? 0 : 1;
  }
  void Save(BoxOfficeState::Builder) const override {}
  void Load(BoxOfficeState::Reader) override {}
  explicit Elsewhere(size_t test) : test(test) {}
  const size_t test;
};

TEST(LocalNode, ActorsRunOnAnotherThread) {
  LocalNode node;
  const size_t here = std::hash<std::thread::id>()(std::this_thread::get_id());
  node.Host<Elsewhere>([here] { return kj::heap<Elsewhere>(here); });
  EXPECT_EQ(node.Await(node.Get<BoxOffice>("hamlet").Left()), 1u);
}

TEST(LocalNode, SaysThatHostComesFirstAndThatAnAwaitDoesNotEnd) {
  LocalNode node;
  node.Host<BoxOfficeActor>();
  node.Get<BoxOffice>("hamlet");
  auto late = kj::runCatchingExceptions([&] { node.Host<BoxOfficeActor>(); });
  EXPECT_THAT(troupe::Words(KJ_ASSERT_NONNULL(late)), HasSubstr("before the first Get()"));
  auto never = kj::runCatchingExceptions(
      [&] { node.Await(kj::Promise<void>(kj::NEVER_DONE), absl::Milliseconds(10)); });
  EXPECT_THAT(troupe::Words(KJ_ASSERT_NONNULL(never)), HasSubstr("no answer after 10ms"));
}

}  // namespace
