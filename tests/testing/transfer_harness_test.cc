// Transfers in a harness: told, or finished in Resume(); refs in state, objects made anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "account.h"
#include "courier.h"
#include "troupe/actors/ref_message.h"
#include "troupe/testing/dynamic_text.h"
#include "troupe/testing/harness.h"

namespace {

using troupe::testing::Harness;
using troupe::testing::Renewal;

class TransferHarnessTest : public ::testing::TestWithParam<Renewal> {
 protected:
  TransferHarnessTest() { harness_.Host<CourierActor>(); }
  // Until nothing is pending.
  uint64_t Balance(const Courier::Ref& account) {
    auto reply = harness_.Await(account.Balance());
    for (int i = 0; i < 100 && reply.pending > 0; ++i) {
      harness_.Advance(absl::Milliseconds(100));
      reply = harness_.Await(account.Balance());
    }
    EXPECT_EQ(reply.pending, 0u);
    return reply.balance;
  }
  Harness harness_{{.nodes = 3, .seed = 11, .renewal = GetParam()}};
};

TEST_P(TransferHarnessTest, TransfersAreWholeWhateverIsKilledMeanwhile) {
  auto alice = harness_.Get<Courier>("alice");
  auto bob = harness_.Get<Courier>("bob");
  harness_.Await(alice.Deposit(100));
  harness_.Await(alice.Transfer(bob, 10));
  EXPECT_EQ(Balance(alice), 90u);
  EXPECT_EQ(Balance(bob), 10u);
  harness_.NextCall(alice, "transfer").KillsItsNode();
  harness_.Await(alice.Transfer(bob, 10));
  harness_.NextCall(bob, "deposit").KillsItsNode();
  harness_.Await(alice.Transfer(bob, 10));
  EXPECT_EQ(Balance(alice), 70u);
  EXPECT_EQ(Balance(bob), 30u);
  EXPECT_THAT(harness_.Calls(alice),
              ::testing::Contains("transfer(to = Courier/bob, amount = 10)"));
}

TEST_P(TransferHarnessTest, WhatIsToldArrivesWhateverIsKilledMeanwhile) {
  harness_.Host<AccountActor>();
  auto alice = harness_.Get<Account>("alice");
  auto bob = harness_.Get<Account>("bob");
  harness_.Await(alice.Deposit(100));
  harness_.NextCall(alice, "transfer").KillsItsNode();
  harness_.Await(alice.Transfer(bob, 10));
  harness_.NextCall(bob, "deposit").KillsItsNode();
  harness_.Await(alice.Transfer(bob, 10));
  harness_.Advance(absl::Seconds(10));
  EXPECT_EQ(harness_.Await(alice.Balance()), 80u);
  EXPECT_EQ(harness_.Await(bob.Balance()), 20u);
  EXPECT_THAT(harness_.Fails(alice.Transfer(bob, 1000)), ::testing::HasSubstr("too small"));
}

// What the check of Load compares.
TEST(DynamicText, ListsAreEqualInAnyOrderIfSaidSoAndRefsAreNamed) {
  Harness harness;
  harness.Host<CourierActor>();
  auto state = [&](std::vector<std::string> payees, troupe::testing::ListOrder order) {
    troupe::OutgoingMessage message;
    auto list =
        message.root().initAs<CourierState>().initPending(static_cast<unsigned>(payees.size()));
    for (unsigned i = 0; i < payees.size(); ++i) {
      list[i].setTo(harness.Get<Courier>(payees[i]));
    }
    return troupe::testing::TextOf(
        message.root().asReader(), capnp::Schema::from<CourierState>(),
        [](const auto& actor) { return actor.key; }, order);
  };
  using troupe::testing::ListOrder;
  EXPECT_EQ(state({"b", "a"}, ListOrder::kAsWritten),
            "(balance = 0, pending = [(number = 0, to = b, amount = 0), "
            "(number = 0, to = a, amount = 0)], nextTransfer = 0)");
  EXPECT_NE(state({"b", "a"}, ListOrder::kAsWritten), state({"a", "b"}, ListOrder::kAsWritten));
  EXPECT_EQ(state({"b", "a"}, ListOrder::kSorted), state({"a", "b"}, ListOrder::kSorted));
  EXPECT_NE(state({"b", "a"}, ListOrder::kSorted), state({"b", "b"}, ListOrder::kSorted));
  EXPECT_EQ(state(std::vector<std::string>(5000, "a"), ListOrder::kSorted), "(120032 bytes)");
}

INSTANTIATE_TEST_SUITE_P(Renewals, TransferHarnessTest,
                         ::testing::Values(Renewal::kAfterEachTurn, Renewal::kAsInProduction));

}  // namespace
