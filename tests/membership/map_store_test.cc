// MapStore: maps only get newer, and differences bring them where a whole one would.
#include "troupe/membership/map_store.h"

#include "gtest/gtest.h"

namespace troupe {
namespace {

ClusterState Founding() {
  return Found(Id128{1, 2}, ClusterConfig{},
               {{"a", Id128{1, 1}, {"10.0.0.1:1"}, "", {}, {}, {{77, "Thing"}}},
                {"b", Id128{1, 2}, {"10.0.0.2:1"}, "", {}, {}, {{77, "Thing"}}},
                {"c", Id128{1, 3}, {"10.0.0.3:1"}, "", {}, {}, {{77, "Thing"}}}});
}
ClusterState Fenced(const ClusterState& state, const std::string& name) {
  const NodeEntry* node = state.FindNode(name);
  return Apply(state, Fence{name, node->boot, node->generation})->state;
}

TEST(MapStore, TakesOnlyNewerMaps) {
  MapStore store;
  const auto first = Founding();
  const auto second = Fenced(first, "c");
  EXPECT_TRUE(*store.Adopt(ValueOf(second)));
  EXPECT_FALSE(*store.Adopt(ValueOf(first)));
  EXPECT_FALSE(*store.Adopt(ValueOf(second)));
  EXPECT_EQ(store.version(), second.version);
}

TEST(MapStore, RefusesAnotherClustersMap) {
  MapStore store;
  ASSERT_TRUE(store.Adopt(ValueOf(Founding())).ok());
  auto foreign = Fenced(Founding(), "c");
  foreign.cluster = Id128{3, 4};
  EXPECT_EQ(store.Adopt(ValueOf(foreign)).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(MapStore, DifferencesLeadToTheSameMap) {
  MapStore teller, hearer;
  const auto first = Founding();
  ASSERT_TRUE(teller.Adopt(ValueOf(first)).ok());
  auto news = teller.NewsFor(0);
  EXPECT_EQ(news.base, 0);
  ASSERT_TRUE(*hearer.Adopt(news.base, news.bytes));
  ASSERT_TRUE(teller.Adopt(ValueOf(Fenced(first, "c"))).ok());
  news = teller.NewsFor(hearer.version());
  EXPECT_EQ(news.base, first.version);
  ASSERT_TRUE(*hearer.Adopt(news.base, news.bytes));
  EXPECT_EQ(*hearer.map(), *teller.map());
  EXPECT_TRUE(teller.NewsFor(hearer.version()).bytes.empty());
}

TEST(MapStore, ADifferenceFromAnotherMapIsRefused) {
  MapStore teller, hearer;
  const auto first = Founding();
  ASSERT_TRUE(teller.Adopt(ValueOf(first)).ok());
  ASSERT_TRUE(teller.Adopt(ValueOf(Fenced(first, "c"))).ok());
  const auto news = teller.NewsFor(first.version);
  ASSERT_NE(news.base, 0);
  EXPECT_EQ(hearer.Adopt(news.base, news.bytes).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(MapStore, WhoIsFarBehindGetsItWhole) {
  MapStore store;
  auto state = Founding();
  const uint64_t old = state.version;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(store.Adopt(ValueOf(state)).ok());
    const NodeEntry* node = state.FindNode("c");
    state = node->state == NodeState::kUp
                ? Fenced(state, "c")
                : Apply(state, Unfence{"c", node->boot, node->generation})->state;
  }
  EXPECT_EQ(store.NewsFor(old).base, 0);
}

TEST(MapStore, OfANewFormatIsGivenWhole) {
  MapStore teller, hearer;
  const auto first = Founding();
  Register ledger{"d",  Id128{1, 4},    0,
                  true, {"10.0.0.4:1"}, "",
                  {},   Id128{5, 4},    {{90, "Ledger", kDefaultRole, true}}};
  for (MapStore* store : {&teller, &hearer}) ASSERT_TRUE(store->Adopt(ValueOf(first)).ok());
  ASSERT_TRUE(teller.Adopt(ValueOf(Apply(first, ledger)->state)).ok());
  const auto news = teller.NewsFor(hearer.version());
  EXPECT_EQ(news.base, 0);
  ASSERT_TRUE(*hearer.Adopt(news.base, news.bytes));
  EXPECT_EQ(*hearer.map(), *teller.map());
}

}  // namespace
}  // namespace troupe
