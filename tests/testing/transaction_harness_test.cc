// Transactions in a harness as it comes; and what it does not take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kj/debug.h"
#include "purse.h"
#include "troupe/testing/harness.h"

namespace troupe {
namespace {

using testing::Harness;
using ::testing::HasSubstr;

TEST(TransactionHarness, RunsTransactionsWhollyOrNotAtAll) {
  Harness harness({.nodes = 3});
  harness.Host<PurseActor>();
  auto alice = harness.Get<Purse>("alice");
  auto bob = harness.Get<Purse>("bob");
  harness.Await(alice.Deposit(10));
  auto move = [&](int64_t amount) {
    return harness.client().Transact([amount](Transaction& tx) -> Task<void> {
      co_await tx.Get<Purse>("bob").Deposit(amount);
      co_await tx.Get<Purse>("alice").Withdraw(amount);
    });
  };
  auto moved = move(4);
  harness.Await(kj::mv(moved));
  EXPECT_THAT(harness.Fails(move(100)), HasSubstr("there is less in this purse"));
  harness.Failover(bob);
  EXPECT_EQ(harness.Await(alice.Look()).balance, 6);
  EXPECT_EQ(harness.Await(bob.Look()).balance, 4);
}

TEST(TransactionHarness, HasNoFaultsForCallsToPools) {
  Harness harness;
  harness.Host<PurseActor>();
  auto refused = kj::runCatchingExceptions([&] { harness.NextCall(harness.Pool<Purse>()); });
  EXPECT_THAT(Words(KJ_ASSERT_NONNULL(refused)),
              HasSubstr("NextCall: of the pool of Purse, whose calls have no actor of their own"));
}

}  // namespace
}  // namespace troupe
