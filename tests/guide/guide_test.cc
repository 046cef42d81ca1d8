// The guide says what is so: its code is compiled, and does what the text around it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "guide_actors.h"
#include "troupe/testing/harness.h"

namespace troupe {
namespace {

using guide::MeterActor;
using guide::OrderActor;

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
    harness_.Host<OrderActor>();
    harness_.Host<MeterActor>();
  }
  testing::Harness harness_{{.nodes = 3}};
};

TEST_F(GuideTest, AnOrderExpiresThoughItsNodeDies) {
  auto order = harness_.Get<Order>("o1");
  harness_.Await(order.Place("tea"));
  EXPECT_THAT(harness_.Fails(order.Place("coffee")), ::testing::HasSubstr("placed before"));
  harness_.Failover(order);
  EXPECT_EQ(harness_.Await(order.Item()), "tea");
  harness_.AdvanceWallClocks(absl::Hours(24));
  EXPECT_EQ(harness_.Await(order.Item()), "");
  harness_.Await(order.Place("coffee"));
}

TEST_F(GuideTest, AMeterGoesOnWhereItStoppedAndBeginsAnewEachNight) {
  auto meter = harness_.Get<Meter>("m");
  harness_.Await(meter.Measure(10));
  harness_.Await(meter.Measure(20));
  harness_.Await(meter.Close());
  harness_.AdvanceWallClocks(absl::Hours(20));
  EXPECT_EQ(harness_.Await(meter.Average()),
            15u);  // A new object, which leaves the rhythm as it is.
  harness_.AdvanceWallClocks(absl::Hours(4));
  EXPECT_EQ(harness_.Await(meter.Average()), 0u);
}

// As main() would host them.
TEST(Guide, HostsItsActorsByTheirRules) {
  Registry registry;
  guide::HostAll(registry);
  EXPECT_EQ(registry.Find(capnp::typeId<Meter>())->idle_timeout, absl::Minutes(1));
}

}  // namespace
}  // namespace troupe
