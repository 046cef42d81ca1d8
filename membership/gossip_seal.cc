#include "troupe/membership/gossip_seal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

namespace troupe {
namespace {

// A plain message begins with a segment count, which is never this. The last byte is the version of
// the sealed form.
constexpr std::array<uint8_t, 4> kMark = {'T', 'r', 'G', 1};
constexpr size_t kSaltBytes = 16;
constexpr size_t kHeadBytes = kMark.size() + kSaltBytes + 8;
constexpr size_t kTagBytes = 16;
static_assert(kHeadBytes + kTagBytes == kSealBytes);
constexpr char kLabel[] = "troupe gossip 1";

using Head = std::array<uint8_t, kHeadBytes>;
using Nonce = std::array<uint8_t, 12>;
using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

void PutNumber(uint64_t number, uint8_t* to) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<uint8_t>(number >> (8 * i));
}

const uint8_t* Raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

// The counter alone: the key is of one salt only.
Nonce NonceOf(const uint8_t* head) {
  Nonce nonce = {};
  std::memcpy(nonce.data() + 4, head + kMark.size() + kSaltBytes, 8);
  return nonce;
}

GossipKey Derive(const GossipKey& key, const uint8_t* salt) {
  std::array<uint8_t, sizeof(kLabel) + kSaltBytes> info;
  std::memcpy(info.data(), kLabel, sizeof(kLabel));
  std::memcpy(info.data() + sizeof(kLabel), salt, kSaltBytes);
  GossipKey derived = {};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), info.data(), info.size(),
       derived.data(), &length);
  return derived;
}

enum class Way : int { kOpen = 0, kSeal = 1 };

// One pass; `tag` is written when sealing and checked when opening.
bool Pass(Way way, const GossipKey& key, const Nonce& nonce, const std::string& bound,
          std::span<const std::byte> in, std::byte* out, uint8_t* tag) {
  Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  const bool begun = context != nullptr &&
                     EVP_CipherInit_ex(context.get(), EVP_chacha20_poly1305(), nullptr, key.data(),
                                       nonce.data(), static_cast<int>(way)) == 1 &&
                     EVP_CipherUpdate(context.get(), nullptr, &length,
                                      reinterpret_cast<const uint8_t*>(bound.data()),
                                      static_cast<int>(bound.size())) == 1;
  if (!begun) return false;
  if (way == Way::kOpen &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) != 1) {
    return false;
  }
  auto* to = reinterpret_cast<uint8_t*>(out);
  if (EVP_CipherUpdate(context.get(), to, &length, Raw(in), static_cast<int>(in.size())) != 1 ||
      EVP_CipherFinal_ex(context.get(), to + length, &length) != 1) {
    return false;
  }
  return way == Way::kOpen ||
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1;
}

bool IsSealed(std::span<const std::byte> bytes) {
  return bytes.size() > kSealBytes && std::memcmp(bytes.data(), kMark.data(), kMark.size()) == 0;
}

}  // namespace

GossipSeal::GossipSeal(std::string cluster_name, const Id128& salt, GossipSecrecy secrecy)
    : cluster_name_(std::move(cluster_name)), salt_(salt), secrecy_(secrecy) {}

void GossipSeal::SetKeys(GossipKeys keys) {
  keys_ = std::move(keys);
  if (keys_.empty()) return;
  std::array<uint8_t, kSaltBytes> salt;
  PutNumber(salt_.hi, salt.data());
  PutNumber(salt_.lo, salt.data() + 8);
  own_key_ = Derive(keys_.keys().front(), salt.data());
}

std::string GossipSeal::Bound(Carrier carrier, std::span<const std::byte> head) const {
  std::string bound(reinterpret_cast<const char*>(head.data()), head.size());
  bound.push_back(static_cast<char>(carrier));
  return bound + cluster_name_;
}

std::vector<std::byte> GossipSeal::Seal(Carrier carrier, std::span<const std::byte> plain) {
  if (!Seals()) return {plain.begin(), plain.end()};
  std::vector<std::byte> sealed(plain.size() + kSealBytes);
  auto* head = reinterpret_cast<uint8_t*>(sealed.data());
  std::memcpy(head, kMark.data(), kMark.size());
  PutNumber(salt_.hi, head + kMark.size());
  PutNumber(salt_.lo, head + kMark.size() + 8);
  PutNumber(counter_++, head + kMark.size() + kSaltBytes);
  const std::string bound = Bound(carrier, std::span(sealed).first(kHeadBytes));
  if (!Pass(Way::kSeal, own_key_, NonceOf(head), bound, plain, sealed.data() + kHeadBytes,
            head + sealed.size() - kTagBytes)) {
    return {};
  }
  return sealed;
}

absl::StatusOr<std::vector<std::byte>> GossipSeal::Open(Carrier carrier,
                                                        std::span<const std::byte> bytes) {
  if (!IsSealed(bytes)) {
    if (!keys_.empty() && secrecy_ == GossipSecrecy::kRequired) {
      ++counters_.refused_plain;
      return absl::PermissionDeniedError("it is not encrypted, and this node has a gossip key");
    }
    ++counters_.plain;
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
  if (keys_.empty()) {
    ++counters_.refused_sealed;
    return absl::PermissionDeniedError("it is encrypted, and this node has no gossip key");
  }
  const std::string bound = Bound(carrier, bytes.first(kHeadBytes));
  const auto sealed = bytes.subspan(kHeadBytes, bytes.size() - kSealBytes);
  std::array<uint8_t, kTagBytes> tag;
  std::memcpy(tag.data(), bytes.data() + bytes.size() - kTagBytes, kTagBytes);
  std::vector<std::byte> plain(sealed.size());
  for (const GossipKey& key : keys_.keys()) {
    const GossipKey derived = Derive(key, Raw(bytes) + kMark.size());
    if (!Pass(Way::kOpen, derived, NonceOf(Raw(bytes)), bound, sealed, plain.data(), tag.data())) {
      continue;
    }
    ++counters_.opened;
    return plain;
  }
  ++counters_.refused_foreign;
  return absl::PermissionDeniedError(
      "it is encrypted under none of this node's gossip keys, or for another cluster");
}

}  // namespace troupe
