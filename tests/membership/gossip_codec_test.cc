// GossipCodec: what is written is read back, and nothing else is believed.
#include "troupe/membership/gossip_codec.h"

#include <cstring>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "swim_fixture.h"
#include "troupe/membership/gossip.capnp.h"

namespace troupe {
namespace {

GossipHeader SomeHeader() {
  GossipHeader header;
  header.cluster = {3, 4};
  header.sender = {"sender", {1, 2}, 9};
  header.map_version = 77;
  return header;
}

Member Largest() {
  Member member = Alive(std::string(kNodeNameBytesMax, 'n'), 5, 6);
  member.rpc_address = std::string(kAddressBytesMax, 'r');
  member.gossip_address = std::string(kAddressBytesMax, 'g');
  member.metadata = std::string(kMetadataBytesMax, '\0');
  member.map_version = 8;
  return member;
}

std::vector<GossipBody> AllBodies() {
  return {GossipOnly{}, Ping{1, "a", {5, 6}}, PingAck{2, {7, 8}}, PingReq{3, "b", {9, 1}}, Nack{4}};
}

std::vector<std::byte> Flat(capnp::MessageBuilder& message) {
  auto words = capnp::messageToFlatArray(message);
  std::vector<std::byte> bytes(words.asBytes().size());
  std::memcpy(bytes.data(), words.begin(), bytes.size());
  return bytes;
}

TEST(GossipCodec, EveryBodyComesBackAsItWas) {
  for (const GossipBody& body : AllBodies()) {
    GossipDatagram datagram{
        SomeHeader(),
        body,
        {Alive("a", 1, 2), Suspect("b", 3, "a"), Dead("c", 4, "b"), Left("d", 5)}};
    auto decoded = DecodeDatagram(Encode(datagram));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, datagram);
  }
}

TEST(GossipCodec, PushPullComesBackAsItWas) {
  PushPull push_pull{SomeHeader(), {}};
  for (int i = 0; i < 5000; ++i) push_pull.members.push_back(Alive("n" + std::to_string(i), 1, 2));
  auto decoded = DecodePushPull(Encode(push_pull));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, push_pull);
}

TEST(GossipCodec, SizesAreForetoldExactly) {
  for (const GossipBody& body : AllBodies()) {
    GossipDatagram datagram{SomeHeader(), body, {}};
    size_t foretold = EncodedBytes(datagram.header, datagram.body);
    EXPECT_EQ(Encode(datagram).size(), foretold);
    for (const Member& update : {Alive("a"), Suspect("bcdefgh", 3, "a"), Left("d", 5)}) {
      datagram.updates.push_back(update);
      foretold += EncodedBytes(update);
      EXPECT_EQ(Encode(datagram).size(), foretold);
    }
  }
}

TEST(GossipCodec, TheLargestMemberFitsWithTheLargestHeader) {
  GossipHeader header = SomeHeader();
  header.sender.name = std::string(kNodeNameBytesMax, 's');
  GossipDatagram datagram{
      header, Ping{1, std::string(kNodeNameBytesMax, 't'), {1, 1}}, {Largest()}};
  EXPECT_LE(Encode(datagram).size(), LanFastProfile().datagram_bytes_max);
  EXPECT_TRUE(DecodeDatagram(Encode(datagram)).ok());
}

TEST(GossipCodec, EveryFieldIsBounded) {
  auto refused = [](auto change) {
    Member member = Alive("a", 1);
    change(member);
    return !DecodeDatagram(Encode(GossipDatagram{SomeHeader(), GossipOnly{}, {member}})).ok();
  };
  EXPECT_FALSE(refused([](Member&) {}));
  EXPECT_TRUE(refused([](Member& m) { m.id.name = ""; }));
  EXPECT_TRUE(refused([](Member& m) { m.id.name = std::string(kNodeNameBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](Member& m) { m.id.name = "two lines\nforged"; }));
  EXPECT_TRUE(refused([](Member& m) { m.id.name = "\xff\xfe"; }));
  EXPECT_TRUE(refused([](Member& m) { m.id.nonce = {}; }));
  EXPECT_TRUE(refused([](Member& m) { m.rpc_address = ""; }));
  EXPECT_TRUE(
      refused([](Member& m) { m.gossip_address = std::string(kAddressBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](Member& m) { m.metadata = std::string(kMetadataBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](Member& m) { m.state = MemberState::kSuspect; }));  // By nobody.
}

TEST(GossipCodec, TheSenderIsBoundedToo) {
  auto refused = [](auto change) {
    GossipDatagram datagram{SomeHeader(), GossipOnly{}, {}};
    change(datagram);
    return !DecodeDatagram(Encode(datagram)).ok();
  };
  EXPECT_TRUE(refused([](GossipDatagram& d) { d.header.sender.name = ""; }));
  EXPECT_TRUE(refused([](GossipDatagram& d) { d.header.sender.name = std::string(65, 'x'); }));
  EXPECT_TRUE(refused([](GossipDatagram& d) { d.header.sender.nonce = {}; }));
  EXPECT_TRUE(refused([](GossipDatagram& d) { d.body = Ping{1, "", {1, 1}}; }));
}

TEST(GossipCodec, TrailingAndTruncatedBytesAreRejected) {
  std::vector<std::byte> whole =
      Encode(GossipDatagram{SomeHeader(), Ping{1, "a", {1, 1}}, {Alive("a")}});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeDatagram(std::span(whole).first(size)).ok()) << size;
  }
  for (size_t more : {1, 8, 64}) {
    std::vector<std::byte> longer = whole;
    longer.resize(whole.size() + more);
    EXPECT_FALSE(DecodeDatagram(longer).ok()) << more;
  }
}

TEST(GossipCodec, MoreThanADatagramIsNotLookedAt) {
  GossipDatagram datagram{SomeHeader(), GossipOnly{}, {Largest(), Largest()}};
  EXPECT_GT(Encode(datagram).size(), kDatagramBytesMax);
  EXPECT_FALSE(DecodeDatagram(Encode(datagram)).ok());
}

// A list of empty structs takes no room, so only the count bounds it.
TEST(GossipCodec, AnEmptyListOfMillionsIsRejected) {
  std::vector<std::byte> bytes = Encode(GossipDatagram{SomeHeader(), GossipOnly{}, {}});
  // The tag of the updates list: the only word that says "zero structs of this size".
  uint64_t tag = 0;
  bool found = false;
  for (size_t at = 8; at + 8 <= bytes.size(); at += 8) {
    std::memcpy(&tag, bytes.data() + at, 8);
    if (tag >> 32 == (uint64_t{5} << 16 | 6) && (tag & 0xffffffff) == 0) {
      uint64_t forged = uint64_t{0x1fffffff} << 2;  // Half a billion structs of zero words.
      std::memcpy(bytes.data() + at, &forged, 8);
      found = true;
    }
  }
  ASSERT_TRUE(found);
  EXPECT_FALSE(DecodeDatagram(bytes).ok());
}

TEST(GossipCodec, TooManyUpdatesAreRejected) {
  std::vector<Member> many(kUpdatesMax + 1, Suspect("a", 1, "b"));
  capnp::MallocMessageBuilder message;
  auto datagram = message.initRoot<wire::gossip::Datagram>();
  datagram.initHeader().setName("a");
  datagram.getHeader().setNonceLo(1);
  datagram.initUpdates(kUpdatesMax + 1);
  EXPECT_FALSE(DecodeDatagram(Flat(message)).ok());
}

TEST(GossipCodec, AnUnknownStateDropsThatUpdateAlone) {
  capnp::MallocMessageBuilder message;
  auto datagram = message.initRoot<wire::gossip::Datagram>();
  datagram.initHeader().setName("s");
  datagram.getHeader().setNonceLo(1);
  datagram.getHeader().setVersion(2);
  datagram.getHeader().setOldest(1);
  auto updates = datagram.initUpdates(2);
  updates[0].setState(static_cast<wire::gossip::State>(9));
  updates[1].setName("a");
  updates[1].setNonceLo(5);
  updates[1].setRpcAddress("a:1");
  updates[1].setGossipAddress("a:2");
  auto decoded = DecodeDatagram(Flat(message));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->updates.size(), 1u);
  EXPECT_EQ(decoded->updates[0].id.name, "a");
}

TEST(GossipCodec, OfAnUnreadableVersionOnlyTheHeaderIsRead) {
  GossipHeader header = SomeHeader();
  header.version = 9;
  header.oldest = kGossipVersion + 1;
  auto decoded = DecodeDatagram(Encode(GossipDatagram{header, Ping{1, "a", {1, 1}}, {Alive("a")}}));
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->header.Readable());
  EXPECT_TRUE(decoded->updates.empty());
}

// Whatever arrives, the decoder answers and the machine goes on.
TEST(GossipCodec, DamagedBytesNeverDoMoreThanBeDropped) {
  Random random(11);
  SwimActions actions;
  Swim swim(LanFastProfile(), SwimFixture::SelfOf("me"), Random(1), kStart);
  std::vector<std::vector<std::byte>> samples;
  for (const GossipBody& body : AllBodies()) {
    samples.push_back(Encode(
        GossipDatagram{SomeHeader(), body, {Alive("a", 1), Suspect("me", 3, "a"), Largest()}}));
  }
  std::vector<std::byte> exchange =
      Encode(PushPull{SomeHeader(), {Alive("a", 1), Dead("me", 3, "a"), Largest()}});
  for (int i = 0; i < 6000; ++i) {
    std::vector<std::byte> bytes = i % 8 == 0 ? exchange : samples[random.Below(samples.size())];
    for (uint64_t flips = random.Below(6); flips > 0; --flips) {
      bytes[random.Below(bytes.size())] = static_cast<std::byte>(random.Next());
    }
    if (random.Chance(0.1)) bytes.resize(random.Below(bytes.size() + 1));
    absl::Time now = kStart + absl::Milliseconds(i);
    swim.OnDatagram(now, "x:2", bytes, actions);
    (void)swim.AnswerPushPull(now, "x:1", bytes, actions);
    if (swim.NextDeadline() <= now) swim.OnTimer(now, actions);
    actions = {};
  }
  EXPECT_GT(swim.counters().malformed, 500u);
  EXPECT_LT(swim.self().incarnation, uint64_t{1} << 30);
}

TEST(GossipCodec, RandomBytesAreMalformed) {
  Random random(12);
  for (int i = 0; i < 6000; ++i) {
    std::vector<std::byte> bytes(8 * random.Below(40));
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random.Chance(0.5) ? 0 : random.Next());
    EXPECT_FALSE(DecodeDatagram(bytes).ok());
  }
}

}  // namespace
}  // namespace troupe
