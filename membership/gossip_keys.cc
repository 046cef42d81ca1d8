#include "troupe/membership/gossip_keys.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

constexpr size_t kFileBytesMax = 64 << 10;

std::string_view Trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && blank(line.back())) line.remove_suffix(1);
  return line;
}

absl::StatusOr<GossipKey> Decode(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(std::string(text), &bytes) || bytes.size() != kGossipKeyBytes) {
    return absl::InvalidArgumentError(absl::StrCat("expected ", kGossipKeyBytes,
                                                   " bytes in base64, got ", text.size(),
                                                   " characters that are not"));
  }
  GossipKey key;
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

absl::Status Unknown() { return absl::InvalidArgumentError("the ring does not hold that key"); }

}  // namespace

absl::StatusOr<GossipKeys> GossipKeys::Parse(std::string_view file) {
  if (file.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a file of gossip keys has at most ",
                                                   kFileBytesMax, " bytes, got ", file.size()));
  }
  GossipKeys ring;
  for (int number = 1; !file.empty(); ++number) {
    const size_t end = std::min(file.find('\n'), file.size());
    const std::string_view line = Trimmed(file.substr(0, end));
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.empty()) continue;
    auto key = Decode(line);
    absl::Status status = key.status();
    if (status.ok()) status = ring.Add(*key);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", std::string(status.message())));
    }
  }
  if (ring.empty()) return absl::InvalidArgumentError("expected at least one key, got none");
  return ring;
}

absl::Status GossipKeys::Add(const GossipKey& key) {
  if (keys_.size() >= kGossipKeysMax) {
    return absl::InvalidArgumentError(absl::StrCat("at most ", kGossipKeysMax, " keys"));
  }
  if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) {
    return absl::InvalidArgumentError("that key is there already");
  }
  keys_.push_back(key);
  return absl::OkStatus();
}

absl::Status GossipKeys::Promote(const GossipKey& key) {
  auto at = std::find(keys_.begin(), keys_.end(), key);
  if (at == keys_.end()) return Unknown();
  std::rotate(keys_.begin(), at, at + 1);
  return absl::OkStatus();
}

absl::Status GossipKeys::Remove(const GossipKey& key) {
  auto at = std::find(keys_.begin(), keys_.end(), key);
  if (at == keys_.end()) return Unknown();
  if (at == keys_.begin()) {
    return absl::InvalidArgumentError("that key encrypts: promote another one first");
  }
  keys_.erase(at);
  return absl::OkStatus();
}

std::vector<std::string> GossipKeys::Ids() const {
  std::vector<std::string> ids;
  for (const GossipKey& key : keys_) {
    std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
    SHA256(key.data(), key.size(), hash.data());
    ids.push_back(
        absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(hash.data()), 4)));
  }
  return ids;
}

}  // namespace troupe
