#include "troupe/actors/observer_key.h"

#include <openssl/sha.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "kj/exception.h"
#include "troupe/actors/child_key.h"
#include "troupe/actors/pool_key.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kReserved = "\0troupe observer\0"sv;
constexpr std::string_view kLabel = "troupe observers of a client"sv;
constexpr size_t kBytes = kReserved.size() + 16 + 2 + 8;

void Put(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t Take(std::string_view& in, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<unsigned char>(in[i])} << 8 * i;
  in.remove_prefix(bytes);
  return value;
}

}  // namespace

std::string ObserverKey::Encode() const {
  std::string out(kReserved);
  Put(out, client.hi, 8);
  Put(out, client.lo, 8);
  Put(out, worker, 2);
  Put(out, number, 8);
  return out;
}

std::optional<ObserverKey> ObserverKey::Decode(std::string_view key) {
  if (!IsObserverKey(key) || key.size() != kBytes) return std::nullopt;
  key.remove_prefix(kReserved.size());
  ObserverKey out;
  out.client.hi = Take(key, 8);
  out.client.lo = Take(key, 8);
  out.worker = static_cast<uint16_t>(Take(key, 2));
  out.number = Take(key, 8);
  return out;
}

std::string ObserverKey::ToString() const {
  return absl::StrCat("observer-", number, "@", client.ToString());
}

bool IsObserverKey(std::string_view key) { return key.starts_with(kReserved); }

std::string UserKey(std::string_view key) {
  if (IsObserverKey(key)) {
    kj::throwFatalException(
        Failed("a key cannot begin with the bytes \"\\x00troupe observer\\x00\", by which refs of "
               "observers are told; use the ref that Client::Observe() gave, or another key"));
  }
  if (IsPoolKey(key)) {
    kj::throwFatalException(
        Failed("a key cannot begin with the bytes \"\\x00troupe pool\\x00\", by which refs of "
               "pools are told; use Pool<...>(), or another key"));
  }
  if (IsChildKey(key)) {
    kj::throwFatalException(
        Failed("a key cannot begin with the bytes \"\\x00troupe child\\x00\", by which refs of "
               "children are told; use Children::Ref<...>(name)"));
  }
  return std::string(key);
}

Id128 ObserverClient(const Id128& secret) {
  std::string text(kLabel);
  Put(text, secret.hi, 8);
  Put(text, secret.lo, 8);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
  std::string_view bytes(reinterpret_cast<const char*>(hash.data()), hash.size());
  const uint64_t hi = Take(bytes, 8);
  return {hi, Take(bytes, 8)};
}

}  // namespace troupe
