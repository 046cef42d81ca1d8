#include "troupe/actors/call_metadata.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

[[noreturn]] void Refuse(const std::string& why) {
  kj::throwFatalException(Failed(absl::StrCat("metadata of a call: ", why)));
  KJ_UNREACHABLE;
}

}  // namespace

CallMetadata::CallMetadata(
    std::initializer_list<std::pair<std::string_view, std::string_view>> entries) {
  for (const auto& [key, value] : entries) *this = With(key, value);
}

const std::vector<CallMetadata::Entry>& CallMetadata::entries() const {
  static const std::vector<Entry> kNone;
  return entries_ == nullptr ? kNone : *entries_;
}

std::string_view CallMetadata::Find(std::string_view key) const {
  for (const auto& entry : entries()) {
    if (entry.first == key) return entry.second;
  }
  return {};
}

size_t CallMetadata::bytes() const {
  size_t out = 0;
  for (const auto& [key, value] : entries()) out += key.size() + value.size();
  return out;
}

CallMetadata CallMetadata::With(std::string_view key, std::string_view value) const {
  if (key.empty() || key.size() > kMetadataKeyBytesMax) {
    Refuse(absl::StrCat("a key has ", key.size(), " bytes, expected 1 to ", kMetadataKeyBytesMax));
  }
  auto list = entries();
  auto at = std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.first >= key; });
  const bool there = at != list.end() && at->first == key;
  if (value.empty()) {
    if (there) list.erase(at);
  } else if (there) {
    at->second = std::string(value);
  } else if (list.size() >= kMetadataMax) {
    Refuse(absl::StrCat("more than ", kMetadataMax, " entries, with ", std::string(key)));
  } else {
    list.insert(at, {std::string(key), std::string(value)});
  }
  CallMetadata out;
  if (!list.empty()) out.entries_ = std::make_shared<const std::vector<Entry>>(std::move(list));
  if (const size_t bytes = out.bytes(); bytes > kCallMetadataBytesMax) {
    Refuse(absl::StrCat(bytes, " bytes with ", std::string(key), ", expected at most ",
                        kCallMetadataBytesMax));
  }
  return out;
}

CallMetadata CallMetadata::And(const CallMetadata& own) const {
  if (own.empty()) return *this;
  if (empty()) return own;
  CallMetadata out = *this;
  for (const auto& [key, value] : own.entries()) out = out.With(key, value);
  return out;
}

}  // namespace troupe
