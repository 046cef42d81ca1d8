#include "troupe/rpc/words.h"

#include "gtest/gtest.h"

namespace troupe {
namespace {

TEST(CopyWords, OfNothingIsNothingAlsoWhereThereIsNoMemory) {
  EXPECT_EQ(CopyWords(std::span<const std::byte>()).size(), 0u);
  EXPECT_EQ(CopyWords(kj::ArrayPtr<const kj::byte>()).size(), 0u);
  EXPECT_EQ(CopyWords(kj::ArrayPtr<const capnp::word>()).size(), 0u);
  EXPECT_EQ(CopyWords(std::string_view()).size(), 0u);
}

TEST(CopyWords, AlignsWhatIsNotAlignedAndLeavesOutAPart) {
  const std::string_view bytes = "?12345678abcdefgh...";
  const auto words = CopyWords(bytes.substr(1));
  ASSERT_EQ(words.size(), 2u);
  const auto chars = words.asBytes().asChars();
  EXPECT_EQ(std::string_view(chars.begin(), chars.size()), "12345678abcdefgh");
}

}  // namespace
}  // namespace troupe
