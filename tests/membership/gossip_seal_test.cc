// GossipSeal: what opens, what does not, and keys that change under way.
#include "troupe/membership/gossip_seal.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "troupe/membership/swim_options.h"
#include "troupe/runtime/random.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

using Carrier = GossipSeal::Carrier;

GossipKey KeyOf(uint8_t number) {
  GossipKey key;
  key.fill(number);
  return key;
}
std::string LineOf(uint8_t number) {
  const GossipKey key = KeyOf(number);
  return absl::Base64Escape(
      absl::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
}
GossipKeys Ring(const std::vector<uint8_t>& numbers) {
  GossipKeys ring;
  for (uint8_t number : numbers) EXPECT_TRUE(ring.Add(KeyOf(number)).ok());
  return ring;
}
GossipSeal SealOf(const std::vector<uint8_t>& numbers, uint64_t run = 1,
                  GossipSecrecy secrecy = GossipSecrecy::kRequired, std::string cluster = "c") {
  GossipSeal seal(std::move(cluster), Id128{run, 7}, secrecy);
  seal.SetKeys(Ring(numbers));
  return seal;
}
std::vector<std::byte> Plain(size_t size = 100) {
  std::vector<std::byte> plain(size);  // Begins with zeros, as every message does.
  for (size_t i = 8; i < size; ++i) plain[i] = static_cast<std::byte>(i);
  return plain;
}
bool Opens(GossipSeal& seal, const std::vector<std::byte>& bytes,
           Carrier carrier = Carrier::kDatagram) {
  auto opened = seal.Open(carrier, bytes);
  return opened.ok() && *opened == Plain();
}

TEST(GossipSeal, OpensWhatAnotherWithTheKeySealed) {
  GossipSeal a = SealOf({1}, 1), b = SealOf({1}, 2);
  const auto sealed = a.Seal(Carrier::kDatagram, Plain());
  EXPECT_EQ(sealed.size(), Plain().size() + kSealBytes);
  EXPECT_TRUE(Opens(b, sealed));
  EXPECT_EQ(b.counters().opened, 1);
}

TEST(GossipSeal, HidesWhatItSeals) {
  GossipSeal a = SealOf({1});
  const auto sealed = a.Seal(Carrier::kDatagram, Plain());
  const auto plain = Plain();
  for (size_t at = 8; at + 8 <= plain.size(); ++at) {
    auto found =
        std::search(sealed.begin(), sealed.end(), plain.begin() + at, plain.begin() + at + 8);
    EXPECT_EQ(found, sealed.end());
  }
}

TEST(GossipSeal, NeverUsesANonceTwice) {
  GossipSeal a = SealOf({1}, 1), b = SealOf({1}, 2);
  std::set<std::vector<std::byte>> heads;
  for (int i = 0; i < 1000; ++i) {
    for (GossipSeal* seal : {&a, &b}) {
      auto sealed = seal->Seal(i % 2 == 0 ? Carrier::kDatagram : Carrier::kExchange, Plain());
      sealed.resize(28);
      EXPECT_TRUE(heads.insert(sealed).second);
    }
    if (i == 500) a.SetKeys(Ring({2, 1}));  // Not from the start again.
    if (i == 700) a.SetKeys(Ring({1, 2}));
  }
}

TEST(GossipSeal, RefusesAnotherKeyAnotherClusterAndAnotherCarrier) {
  GossipSeal a = SealOf({1});
  const auto sealed = a.Seal(Carrier::kDatagram, Plain());
  GossipSeal other_key = SealOf({2}, 2);
  EXPECT_FALSE(Opens(other_key, sealed));
  GossipSeal other_cluster = SealOf({1}, 2, GossipSecrecy::kRequired, "d");
  EXPECT_FALSE(Opens(other_cluster, sealed));
  GossipSeal same = SealOf({1}, 2);
  EXPECT_FALSE(Opens(same, sealed, Carrier::kExchange));
  EXPECT_EQ(other_key.counters().refused_foreign, 1);
  EXPECT_EQ(same.counters().refused_foreign, 1);
}

TEST(GossipSeal, RefusesEveryDamage) {
  GossipSeal a = SealOf({1}), b = SealOf({1}, 2);
  const auto sealed = a.Seal(Carrier::kDatagram, Plain());
  for (size_t i = 0; i < sealed.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = sealed;
      damaged[i] ^= static_cast<std::byte>(1 << bit);
      EXPECT_FALSE(b.Open(Carrier::kDatagram, damaged).ok()) << i;
    }
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    auto cut = sealed;
    cut.resize(size);
    EXPECT_FALSE(b.Open(Carrier::kDatagram, cut).ok()) << size;
  }
  auto longer = sealed;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(b.Open(Carrier::kDatagram, longer).ok());
}

TEST(GossipSeal, RandomBytesAreDropped) {
  GossipSeal seal = SealOf({1, 2, 3});
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::byte> bytes(random.Below(200));
    for (auto& byte : bytes) byte = static_cast<std::byte>(random.Next());
    if (bytes.size() > 4 && i % 2 == 0) std::memcpy(bytes.data(), "TrG\1", 4);
    EXPECT_FALSE(seal.Open(Carrier::kDatagram, bytes).ok());
  }
  EXPECT_EQ(seal.counters().dropped(), 1000);
}

TEST(GossipSeal, WithAKeyRefusesThePlainAndWithoutOneTheSealed) {
  GossipSeal with = SealOf({1}), without = SealOf({}, 2);
  EXPECT_EQ(without.Seal(Carrier::kDatagram, Plain()), Plain());
  EXPECT_FALSE(Opens(with, Plain()));
  EXPECT_EQ(with.counters().refused_plain, 1);
  EXPECT_FALSE(Opens(without, with.Seal(Carrier::kDatagram, Plain())));
  EXPECT_EQ(without.counters().refused_sealed, 1);
  EXPECT_TRUE(Opens(without, Plain()));
}

// Each step on one side first, then on the other; every pair must understand each other.
TEST(GossipSeal, AClusterGoesOverToEncryptionStepByStep) {
  auto none = SealOf({}, 1);
  auto accept = SealOf({1}, 2, GossipSecrecy::kAccept);
  auto send = SealOf({1}, 3, GossipSecrecy::kSend);
  auto required = SealOf({1}, 4);
  for (auto [from, to] : {std::pair{&none, &accept}, {&accept, &send}, {&send, &required}}) {
    EXPECT_TRUE(Opens(*to, from->Seal(Carrier::kDatagram, Plain())));
    EXPECT_TRUE(Opens(*from, to->Seal(Carrier::kDatagram, Plain())));
  }
}

TEST(GossipSeal, AKeyIsChangedWithoutAGap) {
  const std::vector<std::vector<uint8_t>> steps = {{1}, {1, 2}, {2, 1}, {2}};
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    GossipSeal before = SealOf(steps[i], 1), after = SealOf(steps[i + 1], 2);
    EXPECT_TRUE(Opens(before, after.Seal(Carrier::kDatagram, Plain())));
    EXPECT_TRUE(Opens(after, before.Seal(Carrier::kDatagram, Plain())));
  }
  GossipSeal first = SealOf({1}), last = SealOf({2}, 2);
  EXPECT_FALSE(Opens(last, first.Seal(Carrier::kDatagram, Plain())));
}

// Real sockets: the largest datagram there is passes sealed, without fragments' size.
TEST(GossipSeal, TheLargestDatagramPassesBetweenRealSockets) {
  UvMachineOptions options;
  options.node = "n";
  auto machine = UvMachine::Create(std::move(options));
  ASSERT_TRUE(machine.ok()) << machine.status();
  auto& network = (*machine)->control().network();
  auto a = network.Bind("127.0.0.1:0"), b = network.Bind("127.0.0.1:0");
  ASSERT_TRUE(a.ok() && b.ok());
  GossipSeal sender = SealOf({1}, 1), receiver = SealOf({2, 1}, 2);
  const auto plain = Plain(SwimOptions().datagram_bytes_max);
  const auto sealed = sender.Seal(Carrier::kDatagram, plain);
  EXPECT_LE(sealed.size(), 1400);
  ASSERT_EQ((*a)->Send((*b)->address(), sealed), SendOutcome::kSent);
  auto event = (*b)->Receive().wait((*machine)->wait_scope());
  auto opened = receiver.Open(Carrier::kDatagram, event.datagram.bytes);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*opened, plain);
}

TEST(GossipKeys, AreReadFromLines) {
  auto ring = GossipKeys::Parse("# primary\n" + LineOf(1) + "\n\n  " + LineOf(2) + " # old\r\n");
  ASSERT_TRUE(ring.ok()) << ring.status();
  EXPECT_EQ(*ring, Ring({1, 2}));
}

TEST(GossipKeys, ErrorsNameTheLineAndNeverTheKey) {
  for (const std::string& bad :
       {std::string(), std::string("# nothing\n"), std::string("secret"), LineOf(1).substr(4),
        LineOf(1) + LineOf(2), LineOf(1) + "\n" + LineOf(1)}) {
    auto ring = GossipKeys::Parse(bad);
    EXPECT_EQ(ring.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    const std::string message(ring.status().message());
    EXPECT_EQ(message.find("secret"), std::string::npos);
    EXPECT_EQ(message.find(LineOf(1).substr(4)), std::string::npos);
  }
  const std::string second(GossipKeys::Parse(LineOf(1) + "\nx\n").status().message());
  EXPECT_EQ(second.rfind("line 2:", 0), 0) << second;
}

TEST(GossipKeys, AreAddedPromotedAndRemoved) {
  GossipKeys ring = Ring({1, 2});
  EXPECT_FALSE(ring.Add(KeyOf(2)).ok());
  EXPECT_FALSE(ring.Remove(KeyOf(1)).ok());  // It encrypts.
  EXPECT_FALSE(ring.Promote(KeyOf(3)).ok());
  EXPECT_TRUE(ring.Promote(KeyOf(2)).ok());
  EXPECT_EQ(ring, Ring({2, 1}));
  EXPECT_TRUE(ring.Remove(KeyOf(1)).ok());
  EXPECT_FALSE(ring.Remove(KeyOf(1)).ok());
  EXPECT_EQ(ring.Ids().size(), 1);
  for (uint8_t i = 10; ring.keys().size() < kGossipKeysMax; ++i) {
    EXPECT_TRUE(ring.Add(KeyOf(i)).ok());
  }
  EXPECT_FALSE(ring.Add(KeyOf(99)).ok());
}

}  // namespace
}  // namespace troupe
