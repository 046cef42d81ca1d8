// Topics in the harness, and on real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "news.h"
#include "troupe/testing/harness.h"
#include "troupe/testing/local_node.h"

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TopicInAHarness, ReachesActorsAndObservers) {
  NewsOffice office;
  testing::Harness harness;
  harness.Host<ReaderActor>([&] { return kj::heap<ReaderActor>(office); });
  harness.Host<EditorActor>();
  harness.Host<Topic>();
  auto reader = harness.Get<Reader>("ann");
  EXPECT_EQ(harness.Await(reader.Follow("daily")), 1u);
  auto screen = harness.client().Observe<Screen>();
  auto daily = harness.client().Topic<News>("daily");
  auto sub = harness.Await(daily.Subscribe(screen));
  harness.Await(harness.Get<Editor>("ed").Print("daily", 2, false));
  EXPECT_EQ(harness.Await(daily.Publish([](auto& all) { all.Item(7, ""); })), 3u);
  harness.Advance(absl::Seconds(10));
  EXPECT_EQ(office.items, 3u);
  EXPECT_THAT(screen->numbers, ElementsAre(1, 2, 7));
  EXPECT_EQ(sub.next(), 4u);
}

TEST(TopicOnRealSockets, ReachesActorsAndObservers) {
  NewsOffice office;  // The worker's, while the node runs.
  testing::LocalNode node;
  node.Host<ReaderActor>([&] { return kj::heap<ReaderActor>(office); });
  node.Host<Topic>();
  for (int i = 0; i < 20; ++i) {
    node.Await(node.Get<Reader>(std::to_string(i)).Follow("daily"));
  }
  auto screen = node.client().Observe<Screen>();
  auto daily = node.client().Topic<News>("daily");
  auto sub = node.Await(daily.Subscribe(screen));
  for (int i = 1; i <= 500; ++i) {
    node.Await(daily.Publish([&](auto& all) { all.Item(i, "news"); }));
  }
  auto last = [&](const std::string& key) {
    return node.Await(node.Get<Reader>(key).Read().AsPromise().then(
        [](auto&& read) -> uint64_t { return read.getNumbers().size(); }));
  };
  for (int i = 0; i < 20; ++i) {
    for (int tries = 0; tries < 1000 && last(std::to_string(i)) < 500; ++tries) {
      node.Await(node.machine().control().timer().afterDelay(5 * kj::MILLISECONDS));
    }
    EXPECT_EQ(last(std::to_string(i)), 500u);
  }
  for (int tries = 0; tries < 1000 && screen->numbers.size() < 500; ++tries) {
    node.Await(node.machine().control().timer().afterDelay(5 * kj::MILLISECONDS));
  }
  ASSERT_EQ(screen->numbers.size(), 500u);
  EXPECT_EQ(screen->numbers.back(), 500u);
}

TEST(TopicOnRealSockets, ThatNobodyHostsIsRefused) {
  NewsOffice office;
  testing::LocalNode node;
  node.Host<ReaderActor>([&] { return kj::heap<ReaderActor>(office); });
  auto published = node.client().Topic<News>("daily").Publish([](auto& all) { all.Item(1, ""); });
  EXPECT_THAT(node.Fails(kj::mv(published)), HasSubstr("no actors of type"));
}

}  // namespace
}  // namespace troupe
