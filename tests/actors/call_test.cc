// Ids of calls: the same when a call runs again, different for different calls.
#include "troupe/actors/call.h"

#include <set>

#include "gtest/gtest.h"

namespace troupe {
namespace {

const ActorId kAlice{1, "alice"};
const ActorId kBob{1, "bob"};

CallId Numbered(const ActorId& caller, uint64_t number) {
  return ActorCall{caller, 1, 1, 1, 1, Id128{0, number}};
}

TEST(InboundId, OfTwoCallersWhoUseOneNumberDiffers) {
  EXPECT_NE(InboundId(Numbered(kAlice, 7)), InboundId(Numbered(kBob, 7)));
  EXPECT_NE(InboundId(Numbered({2, "alice"}, 7)), InboundId(Numbered(kAlice, 7)));
  EXPECT_NE(InboundId(Numbered(kAlice, 8)), InboundId(Numbered(kAlice, 7)));
  EXPECT_NE(InboundId(ClientCall{{1, 1}, 7, 1}), InboundId(ClientCall{{1, 2}, 7, 1}));
  EXPECT_NE(InboundId(ClientCall{{1, 1}, 7, 1}), InboundId(ClientCall{{1, 1}, 8, 1}));
}

TEST(InboundId, IsTheSameWhenTheCallComesAgain) {
  // After a failover of the caller: another epoch, turn and mark.
  EXPECT_EQ(InboundId(ActorCall{kAlice, 1, 2, 9, 4, Id128{0, 7}}), InboundId(Numbered(kAlice, 7)));
  EXPECT_EQ(InboundId(ClientCall{{1, 1}, 7, 1}), InboundId(ClientCall{{1, 1}, 7, 5}));
}

// What a turn calls under derived ids must not meet what another's turn calls.
TEST(DerivedId, DiffersByInboundCallCalleeMethodAndOrdinal) {
  const Id128 by_alice = InboundId(Numbered(kAlice, 7));
  const Id128 by_bob = InboundId(Numbered(kBob, 7));
  const ActorId callee{3, "carol"};
  std::set<Id128> ids = {
      DerivedId(by_alice, callee, 5, 0, 0), DerivedId(by_bob, callee, 5, 0, 0),
      DerivedId(by_alice, kBob, 5, 0, 0),   DerivedId(by_alice, callee, 6, 0, 0),
      DerivedId(by_alice, callee, 5, 1, 0), DerivedId(by_alice, callee, 5, 0, 1)};
  EXPECT_EQ(ids.size(), 6u);
  EXPECT_TRUE(ids.contains(DerivedId(by_alice, callee, 5, 0, 0)));
}

}  // namespace
}  // namespace troupe
