// What a transaction says, carried and refused.
#include "troupe/actors/transaction_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "troupe/actors/transaction.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

TransactedCall SomeCall() {
  return {{{1, 2}, 3, absl::Seconds(4), {5, "first"}, {6, 7}}, 8, 9, EmptyResults()};
}
kj::Own<InboundCall> Inbound(Payload params, std::optional<CallOutcome>& out) {
  CallHeader header{
      {5, "first"}, kActivationInterface, kTransactedMethod, ClientCall{{3, 3}, 1, 1}, {}};
  return kj::heap<InboundCall>(std::move(header), std::move(params), absl::InfiniteFuture(),
                               [&out](CallOutcome&& outcome) { out.emplace(std::move(outcome)); });
}
std::string ErrorOf(const std::optional<CallOutcome>& outcome) {
  return outcome && std::holds_alternative<kj::Exception>(*outcome)
             ? Words(std::get<kj::Exception>(*outcome))
             : "no error";
}

TEST(TransactionMessage, CarriesACallWithWhatItSaysOfItsTransaction) {
  const auto got = DecodeTransactedCall(Encode(SomeCall()));
  EXPECT_EQ(got.stamp.id, (Id128{1, 2}));
  EXPECT_EQ(got.stamp.age, 3);
  EXPECT_EQ(got.stamp.limit, absl::Seconds(4));
  EXPECT_EQ(got.stamp.first, (ActorId{5, "first"}));
  EXPECT_EQ(got.stamp.grant, (Grant{6, 7}));
  EXPECT_EQ(got.interface_id, 8u);
  EXPECT_EQ(got.method_id, 9u);
  EXPECT_EQ(got.params.words().asBytes(), EmptyResults().words().asBytes());
}

TEST(TransactionMessage, BoundsTheLimitOfAHold) {
  auto call = SomeCall();
  call.stamp.limit = absl::Hours(1);
  EXPECT_EQ(DecodeTransactedCall(Encode(call)).stamp.limit, kHoldLimitMax);
}

TEST(TransactionMessage, CarriesEachAnswer) {
  auto done = DecodeTransactedAnswer(Encode({TransactedAnswer::Done{{6, 7}, EmptyResults()}}));
  EXPECT_EQ(std::get<TransactedAnswer::Done>(done.body).grant, (Grant{6, 7}));
  EXPECT_TRUE(std::holds_alternative<Payload>(std::get<TransactedAnswer::Done>(done.body).outcome));
  auto failed = DecodeTransactedAnswer(Encode({TransactedAnswer::Done{{6, 7}, Overloaded("no")}}));
  const auto& outcome = std::get<TransactedAnswer::Done>(failed.body).outcome;
  EXPECT_EQ(Words(std::get<kj::Exception>(outcome)), "no");
  auto conflict = DecodeTransactedAnswer(Encode({TransactedAnswer::Conflict{"him"}}));
  EXPECT_EQ(std::get<TransactedAnswer::Conflict>(conflict.body).holder, "him");
  auto gone = DecodeTransactedAnswer(Encode({TransactedAnswer::Gone{"of him"}}));
  EXPECT_EQ(std::get<TransactedAnswer::Gone>(gone.body).hold, "of him");
}

TEST(TransactionMessage, CarriesTheOutcome) {
  const auto commit = DecodeCommitRequest(Encode({{1, 2}, {3, 4}, {{{5, "b"}, {6, 7}}}}));
  EXPECT_EQ(commit.id, (Id128{1, 2}));
  EXPECT_EQ(commit.grant, (Grant{3, 4}));
  ASSERT_EQ(commit.others.size(), 1u);
  EXPECT_EQ(commit.others[0].actor, (ActorId{5, "b"}));
  EXPECT_EQ(commit.others[0].grant, (Grant{6, 7}));
  EXPECT_EQ(DecodeCommitReply(Encode(CommitReply{false, "why"})).trouble, "why");
  EXPECT_EQ(DecodeHoldName(Encode(HoldName{{1, 2}, {3, 4}})).grant, (Grant{3, 4}));
  EXPECT_EQ(DecodeDecision(Encode(Decision::kCommitted)), Decision::kCommitted);
}

TEST(TransactionMessage, RefusesMoreParticipantsThanThereMayBe) {
  CommitRequest request{{1, 2}, {3, 4}, {}};
  request.others.resize(kParticipantsMax, {{5, "b"}, {6, 7}});
  EXPECT_ANY_THROW(DecodeCommitRequest(Encode(request)));
}

TEST(TransactionMessage, AnUnknownDecisionSaysNothing) {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::Decision>().setState(static_cast<wire::Decision::State>(9));
  EXPECT_EQ(DecodeDecision(Payload::Of(message)), Decision::kUndecided);
}

TEST(TransactionMessage, IsUnwrappedToTheCallWithinAndAnsweredAsTheOneThatCame) {
  std::optional<CallOutcome> out;
  auto inner = UnwrapTransacted(Inbound(Encode(SomeCall()), out));
  ASSERT_NE(inner.get(), nullptr);
  EXPECT_EQ(inner->header().interface_id, 8u);
  EXPECT_EQ(inner->header().method_id, 9u);
  ASSERT_NE(inner->header().transaction, nullptr);
  EXPECT_EQ(inner->header().transaction->grant, (Grant{6, 7}));
  inner->Finish(EmptyResults());
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE(std::holds_alternative<Payload>(*out));
}

TEST(TransactionMessage, ThatIsMalformedIsAnsweredSo) {
  auto nameless = SomeCall();
  nameless.stamp.id = {};
  auto torn = SomeCall();
  auto words = kj::heapArray<capnp::word>(1);
  std::fill_n(words.asBytes().begin(), sizeof(capnp::word), kj::byte{0x7f});
  torn.params = Payload::Own(kj::mv(words));
  for (const auto& call : {nameless, torn}) {
    std::optional<CallOutcome> out;
    EXPECT_EQ(UnwrapTransacted(Inbound(Encode(call), out)).get(), nullptr);
    EXPECT_THAT(ErrorOf(out), HasSubstr("a call of a transaction could not be read: "));
  }
}

}  // namespace
}  // namespace troupe
