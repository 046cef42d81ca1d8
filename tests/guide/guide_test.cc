// The guide says what is so: its code is compiled, and does what the text around it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "guide_actors.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/cluster.h"

namespace troupe {
namespace {

std::string Read(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

// Spaces and line breaks do not count: a page is narrower than a file.
std::string Tight(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (!std::isspace(static_cast<unsigned char>(c))) out += c;
  }
  return out;
}

TEST(Guide, ShowsOnlyCodeThatIsCompiled) {
  const std::filesystem::path root = TROUPE_ROOT;
  const std::string code = Tight(Read(root / "tests/guide/guide_actors.h"));
  size_t blocks = 0;
  for (const char* page : {"state.md", "time.md", "failure.md"}) {
    const std::string text = Read(root / "docs/guide" / page);
    const std::string begin = "```cpp\n";
    for (size_t at = text.find(begin); at != text.npos; at = text.find(begin, at)) {
      at += begin.size();
      const std::string block = text.substr(at, text.find("```", at) - at);
      EXPECT_NE(code.find(Tight(block)), code.npos) << page << ":\n" << block;
      ++blocks;
    }
  }
  EXPECT_GE(blocks, 6u);
}

class GuideTest : public ::testing::Test {
 protected:
  GuideTest() {
    guide::HostAll(registry_);
    cluster_ = std::make_unique<sim::Cluster>(sim::ClusterOptions{.seed = 5}, registry_);
    client_ = &cluster_->AddClient("client");
    EXPECT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  std::string Item(const char* order) {
    return cluster_->Await(client_->Get<Order>(order).itemRequest().send().then(
        [](auto&& reply) { return std::string(reply.getItem().cStr()); }));
  }
  std::string Place(const char* order, const char* item) {
    auto request = client_->Get<Order>(order).placeRequest();
    request.setItem(item);
    return cluster_->Await(request.send().then([](auto&&) { return std::string(); },
                                               [](kj::Exception&& e) { return Words(e); }));
  }
  Registry registry_;
  std::unique_ptr<sim::Cluster> cluster_;
  Client* client_;
};

TEST_F(GuideTest, AnOrderExpiresThoughItsNodeDies) {
  EXPECT_EQ(Place("o1", "tea"), "");
  EXPECT_THAT(Place("o1", "coffee"), ::testing::HasSubstr("placed before"));
  cluster_->Kill(cluster_->PrimaryOf({capnp::typeId<Order>(), "o1"}));
  EXPECT_EQ(Item("o1"), "tea");
  for (const auto& name : cluster_->names()) {
    cluster_->world().SetWallClock(name, absl::Hours(24));
  }
  cluster_->Run(absl::Seconds(5));
  EXPECT_EQ(Item("o1"), "");
  EXPECT_EQ(Place("o1", "coffee"), "");
}

TEST_F(GuideTest, AMeterGoesOnWhereItStoppedAndBeginsAnewEachNight) {
  auto meter = client_->Get<Meter>("m");
  auto average = [&] {
    return cluster_->Await(
        meter.averageRequest().send().then([](auto&& reply) { return reply.getValue(); }));
  };
  for (uint64_t value : {10, 20}) {
    auto request = meter.measureRequest();
    request.setValue(value);
    cluster_->Await(request.send().then([](auto&&) { return 0; }));
  }
  cluster_->Await(meter.closeRequest().send().then([](auto&&) { return 0; }));
  for (const auto& name : cluster_->names()) {
    cluster_->world().SetWallClock(name, absl::Hours(20));
  }
  EXPECT_EQ(average(), 15u);  // A new object, which leaves the rhythm as it is.
  for (const auto& name : cluster_->names()) {
    cluster_->world().SetWallClock(name, absl::Hours(24));
  }
  cluster_->Run(absl::Seconds(1));
  EXPECT_EQ(average(), 0u);
}

}  // namespace
}  // namespace troupe
