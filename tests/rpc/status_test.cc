// The status bridge: what travels of an error is bounded and stays text.
#include "troupe/rpc/status.h"

#include "capnp/message.h"
#include "gtest/gtest.h"

namespace troupe {
namespace {

std::string Carry(const std::string& text) {
  capnp::MallocMessageBuilder message;
  auto failure = message.initRoot<wire::Failure>();
  EncodeFailure(Failed(text), failure);
  return Words(DecodeFailure(failure.asReader()));
}

TEST(Failure, CarriesATextAsItIs) {
  EXPECT_EQ(Carry("no such thing"), "no such thing");
  const std::string largest(kFailureTextBytesMax, 'x');
  EXPECT_EQ(Carry(largest), largest);
}

TEST(Failure, CutsATextThatIsTooLong) {
  const std::string carried = Carry(std::string(20 << 20, 'x'));
  EXPECT_EQ(carried.size(), kFailureTextBytesMax);
  EXPECT_EQ(carried.substr(carried.size() - 4), "x\u2026");
}

TEST(Failure, CutsBetweenCharacters) {
  for (int shift = 0; shift < 4; ++shift) {
    std::string text(static_cast<size_t>(shift), 'x');
    while (text.size() <= kFailureTextBytesMax) text += "\U0001F600";
    const std::string carried = Carry(text);
    EXPECT_LE(carried.size(), kFailureTextBytesMax);
    EXPECT_GE(carried.size(), kFailureTextBytesMax - 3);
    EXPECT_EQ(carried.substr(carried.size() - 7), "\U0001F600\u2026") << shift;
  }
}

}  // namespace
}  // namespace troupe
