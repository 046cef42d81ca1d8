#include "troupe/actors/actor_id.h"

#include <bit>
#include <cstdio>

#include "troupe/actors/observer_key.h"
#include "troupe/actors/pool_key.h"

namespace troupe {
namespace {

uint64_t LittleEndian(const unsigned char* bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= uint64_t{bytes[i]} << (8 * i);
  return value;
}

struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1, v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1, v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
  void Compress(uint64_t word) {
    v3 ^= word;
    Round(), Round();
    v0 ^= word;
  }
};

}  // namespace

std::string ActorId::ToString() const {
  char type_text[17];
  std::snprintf(type_text, sizeof type_text, "%016llx", static_cast<unsigned long long>(type));
  return ToString(type_text);
}

std::string ActorId::ToString(std::string_view type_name) const {
  std::string text(type_name);
  text += '/';
  if (auto observer = ObserverKey::Decode(key)) return text + observer->ToString();
  if (NumberOfPoolKey(key)) return text + "pool";
  for (unsigned char c : key) {
    if (c > 0x20 && c < 0x7f && c != '\\') {
      text += static_cast<char>(c);
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
      text += escaped;
    }
  }
  return text;
}

uint64_t SipHash24(uint64_t k0, uint64_t k1, std::span<const unsigned char> bytes) {
  SipState s{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
             k1 ^ 0x7465646279746573};
  size_t whole = bytes.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) s.Compress(LittleEndian(bytes.data() + i, 8));
  uint64_t tail = LittleEndian(bytes.data() + whole, bytes.size() - whole);
  s.Compress(tail | uint64_t{bytes.size() & 0xff} << 56);
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.Round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

std::string_view AffinityOf(std::string_view key) {
  const size_t open = key.find('{');
  if (open == std::string_view::npos) return {};
  const size_t close = key.find('}', open);
  return close == std::string_view::npos ? std::string_view()
                                         : key.substr(open + 1, close - open - 1);
}

namespace {

uint64_t KeyHash(uint64_t type, std::string_view key) {
  constexpr uint64_t kKey0 = 0x61206570756f7274;  // "troupe a"
  constexpr uint64_t kKey1 = 0x79656b20726f7463;  // "ctor key"
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(type >> (8 * i));
  bytes += key;
  return SipHash24(kKey0, kKey1,
                   {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

}  // namespace

uint64_t ActorKeyHash(const ActorId& actor) { return KeyHash(actor.type, actor.key); }

ShardId ShardOf(const ActorId& actor, uint32_t shards) {
  const auto affinity = AffinityOf(actor.key);
  const uint64_t hash = affinity.empty() ? ActorKeyHash(actor) : KeyHash(0, affinity);
  return static_cast<ShardId>(hash % shards);
}

std::string KeyBeside(const ActorId& actor, uint32_t shards, std::string_view name) {
  const auto affinity = AffinityOf(actor.key);
  auto key = [&](std::string_view braced, std::string_view owner) {
    return "{" + std::string(braced) + "}/" + std::string(owner) + std::string(name);
  };
  if (!affinity.empty()) return key(affinity, "");
  const ShardId shard = ShardOf(actor, shards);
  uint64_t number = 0;  // About as many tries as there are shards.
  while (KeyHash(0, std::to_string(number)) % shards != shard) ++number;
  return key(std::to_string(number), actor.key + "/");
}

}  // namespace troupe
