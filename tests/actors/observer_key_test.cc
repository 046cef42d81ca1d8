// ObserverKey: what a ref of an observer is named by, and that nobody else can be.
#include "troupe/actors/observer_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kj/exception.h"
#include "troupe/actors/actor_id.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

const ObserverKey kKey{{0x0123456789abcdef, 0xfedcba9876543210}, 0x1ff, 3};

TEST(ObserverKey, IsReadAsItWasWritten) {
  EXPECT_EQ(ObserverKey::Decode(kKey.Encode()), kKey);
  EXPECT_EQ(ObserverKey::Decode(ObserverKey{}.Encode()), ObserverKey{});
}

// Part of the protocol, as nodes and clients of all versions must agree on it.
TEST(ObserverKey, NeverChanges) {
  const std::string expected(
      "\0troupe observer\0\xef\xcd\xab\x89\x67\x45\x23\x01\x10\x32\x54\x76"
      "\x98\xba\xdc\xfe\xff\x01\x03\0\0\0\0\0\0\0",
      43);
  EXPECT_EQ(kKey.Encode(), expected);
  EXPECT_EQ(ObserverClient({1, 2}).ToString(), "4ba81457ce377a6b9fa1434885322555");
}

TEST(ObserverKey, IsNotReadFromOtherKeys) {
  const std::string key = kKey.Encode();
  EXPECT_FALSE(ObserverKey::Decode("alice"));
  EXPECT_FALSE(ObserverKey::Decode(""));
  for (size_t bytes = 0; bytes < key.size(); ++bytes) {
    EXPECT_FALSE(ObserverKey::Decode(key.substr(0, bytes))) << bytes;
  }
  EXPECT_FALSE(ObserverKey::Decode(key + "x"));
}

TEST(ObserverKey, ItsReservedBytesBeginNoKeyOfAUser) {
  EXPECT_EQ(UserKey("alice"), "alice");
  EXPECT_EQ(UserKey(std::string("\0x", 2)), std::string("\0x", 2));
  for (const auto& key : {kKey.Encode(), kKey.Encode().substr(0, 17)}) {
    std::string error = "none";
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { UserKey(key); })) error = Words(*e);
    EXPECT_THAT(error, HasSubstr("Client::Observe()"));
  }
}

TEST(ObserverKey, IsPrintedByNumberAndClient) {
  EXPECT_EQ((ActorId{1, kKey.Encode()}).ToString("Listener"),
            "Listener/observer-3@0123456789abcdeffedcba9876543210");
}

TEST(ObserverClient, TellsSecretsApart) {
  EXPECT_NE(ObserverClient({1, 2}), ObserverClient({2, 1}));
  EXPECT_NE(ObserverClient({1, 2}), ObserverClient({1, 3}));
}

}  // namespace
}  // namespace troupe
