// ActorId: prints, hashes and finds its shard the same way for ever.
#include "troupe/actors/actor_id.h"

#include <vector>

#include "gtest/gtest.h"

namespace troupe {
namespace {

constexpr uint64_t kPaperKey0 = 0x0706050403020100;
constexpr uint64_t kPaperKey1 = 0x0f0e0d0c0b0a0908;

TEST(SipHash, GivesTheVectorsOfItsSpecification) {
  std::vector<unsigned char> bytes;
  EXPECT_EQ(SipHash24(kPaperKey0, kPaperKey1, bytes), 0x726fdb47dd0e0e31u);
  for (unsigned char i = 0; i < 15; ++i) bytes.push_back(i);
  EXPECT_EQ(SipHash24(kPaperKey0, kPaperKey1, bytes), 0xa129ca6149be45e5u);
  EXPECT_EQ(SipHash24(kPaperKey0, kPaperKey1, std::span(bytes).first(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(SipHash24(kPaperKey0, kPaperKey1, std::span(bytes).first(8)), 0x93f5f5799a932462u);
}

TEST(ActorId, PrintsTypeAndKeyWithoutControlBytes) {
  EXPECT_EQ((ActorId{0xd51c1c5f, "alice"}.ToString()), "00000000d51c1c5f/alice");
  EXPECT_EQ((ActorId{1, std::string("a b\n\\", 5)}.ToString()),
            "0000000000000001/a\\x20b\\x0a\\x5c");
}

TEST(ShardOf, NeverChanges) {
  // These numbers are the protocol: a change would send calls to shards that do not hold the actor.
  EXPECT_EQ(ActorKeyHash(ActorId{0, ""}), 5723150693383494078u);
  EXPECT_EQ(ActorKeyHash(ActorId{0xd51c1c5f, "alice"}), 11333622448910336291u);
  EXPECT_EQ(ShardOf(ActorId{0xd51c1c5f, "alice"}, 256), 35u);
}

TEST(ShardOf, IsThatOfTheAffinityForAllTypes) {
  EXPECT_EQ(AffinityOf("{cart7}/items"), "cart7");
  EXPECT_EQ(AffinityOf("eu/{cart7}{x}"), "cart7");
  EXPECT_EQ(AffinityOf("a}{b}"), "b");
  EXPECT_EQ(AffinityOf("{}x"), "");
  EXPECT_EQ(AffinityOf("{cart7"), "");
  const ShardId shard = ShardOf(ActorId{1, "{cart7}/items"}, 65536);
  EXPECT_EQ(ShardOf(ActorId{2, "{cart7}/payment"}, 65536), shard);
  EXPECT_EQ(ShardOf(ActorId{3, "eu/{cart7}"}, 65536), shard);
  EXPECT_EQ(shard, ActorKeyHash(ActorId{0, "cart7"}) % 65536);
  EXPECT_NE(ShardOf(ActorId{1, "cart7"}, 65536), ShardOf(ActorId{2, "cart7"}, 65536));
  // No braces that close, or nothing in them: as any other key.
  for (const char* key : {"{cart7", "{}items", "}cart7{"}) {
    EXPECT_EQ(ShardOf(ActorId{1, key}, 65536), ActorKeyHash(ActorId{1, key}) % 65536) << key;
  }
}

TEST(KeyBeside, IsInTheShardOfTheActorThatItIsMadeFor) {
  for (const char* key : {"alice", "bob", "", "a}b", "{alice", "{x}/y"}) {
    const ActorId actor{7, key};
    const std::string beside = KeyBeside(actor, 256, "items");
    EXPECT_EQ(ShardOf(ActorId{8, beside}, 256), ShardOf(ActorId{9, beside}, 256)) << beside;
    EXPECT_EQ(ShardOf(ActorId{8, beside}, 256), ShardOf(actor, 256)) << beside;
    EXPECT_EQ(KeyBeside(actor, 256, "items"), beside);
    EXPECT_NE(KeyBeside(actor, 256, "payments"), beside);
  }
  EXPECT_EQ(KeyBeside({7, "{x}/y"}, 256, "items"), "{x}/items");
  EXPECT_NE(KeyBeside({7, "alice"}, 1, "items"), KeyBeside({7, "bob"}, 1, "items"));
}

TEST(ShardOf, SpreadsKeysEvenly) {
  std::vector<int> count(64);
  for (int i = 0; i < 64000; ++i) ++count[ShardOf(ActorId{7, "user-" + std::to_string(i)}, 64)];
  for (int n : count) {
    EXPECT_GT(n, 850);
    EXPECT_LT(n, 1150);
  }
}

}  // namespace
}  // namespace troupe
