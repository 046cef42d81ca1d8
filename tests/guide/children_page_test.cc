// What docs/guide/failure.md shows of children.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "feed.troupe.h"
#include "troupe/actors/children.h"
#include "troupe/testing/harness.h"

namespace {

using ::testing::HasSubstr;
using troupe::Children;
using troupe::Strategy;
using troupe::testing::Harness;

// A server that closes each connection after two lines.
class FeedReader final : public Reader::Actor {
 public:
  explicit FeedReader(std::string url) : url_(std::move(url)) {}

 private:
  Task<std::string> Next() override {
    if (lines_ == 2) co_await troupe::Fail(kj::Exception::Type::DISCONNECTED, "connection reset");
    co_return url_ + " " + std::to_string(++lines_);
  }
  const std::string url_;
  int lines_ = 0;
};

class TickerActor final : public Ticker::Actor {
  Task<void> OnActivate() override {
    children_.emplace(context(), troupe::ChildrenOptions{.strategy = Strategy::kOneForOne});
    feed_ = children_->Start<FeedReader>("feed", std::string("wss://example.org/ticks"));
    co_return;
  }
  Task<std::string> Poll() override {
    auto next = feed_.Next();
    auto line = co_await Settled(next);
    if (!line.ok()) co_return "none: the feed is connected anew";
    ++lines_;
    co_return line.value();
  }
  void Save(TickerState::Builder out) const override { out.setLines(lines_); }
  void Load(TickerState::Reader in) override { lines_ = in.getLines(); }

  std::optional<Children> children_;
  Reader::Ref feed_;
  uint64_t lines_ = 0;
};

TEST(Ticker, GoesOnWithANewConnection) {
  Harness harness;
  harness.Host<TickerActor>();
  auto ticker = harness.Get<Ticker>("t");
  EXPECT_EQ(harness.Await(ticker.Poll()), "wss://example.org/ticks 1");
  EXPECT_EQ(harness.Await(ticker.Poll()), "wss://example.org/ticks 2");
  EXPECT_THAT(harness.Await(ticker.Poll()), HasSubstr("connected anew"));
  EXPECT_EQ(harness.Await(ticker.Poll()), "wss://example.org/ticks 1");
}

TEST(Ticker, StartsItsFeedOnWhicheverNodeItIs) {
  Harness harness({.nodes = 3});
  harness.Host<TickerActor>();
  auto ticker = harness.Get<Ticker>("t");
  EXPECT_EQ(harness.Await(ticker.Poll()), "wss://example.org/ticks 1");
  harness.Failover(ticker);
  EXPECT_EQ(harness.Await(ticker.Poll()), "wss://example.org/ticks 1");
}

}  // namespace
