// CallMetadata: what travels with a call beside its parameters: who is behind it, which trace it is
// part of. A turn's calls and what it tells carry on what its own call had.
//
// Values, immutable and shared; none costs nothing. Not part of what a call is: neither its id, nor
// its record, nor whether it is the same as another. Errors: FAILED, naming the bound.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

inline constexpr size_t kMetadataMax = 16;                // Entries of one call.
inline constexpr size_t kMetadataKeyBytesMax = 64;        // Of each.
inline constexpr size_t kCallMetadataBytesMax = 4 << 10;  // Of all keys and values.

class CallMetadata {
 public:
  using Entry = std::pair<std::string, std::string>;

  CallMetadata() = default;  // None.
  CallMetadata(std::initializer_list<std::pair<std::string_view, std::string_view>> entries);

  bool empty() const { return entries_ == nullptr; }
  std::string_view Find(std::string_view key) const;  // Empty: not there.
  const std::vector<Entry>& entries() const;          // By key.
  size_t bytes() const;

  // With one more, or another value; an empty value takes the key away.
  CallMetadata With(std::string_view key, std::string_view value) const;
  // These, and those of `own`, which count more.
  CallMetadata And(const CallMetadata& own) const;

  friend bool operator==(const CallMetadata& a, const CallMetadata& b) {
    return a.entries() == b.entries();
  }

 private:
  std::shared_ptr<const std::vector<Entry>> entries_;  // Null: none.
};

// Of a capnp list of structs with a key and a value. Decoding throws for what is out of bounds.
template <typename List>
void EncodeMetadata(const CallMetadata& from, List out) {
  for (unsigned i = 0; i < out.size(); ++i) {
    const auto& [key, value] = from.entries()[i];
    out[i].setKey({key.c_str(), key.size()});
    out[i].setValue({value.c_str(), value.size()});
  }
}
template <typename List>
CallMetadata DecodeMetadata(List in) {
  CallMetadata out;
  for (auto entry : in) {
    const auto key = entry.getKey(), value = entry.getValue();
    out = out.With({key.begin(), key.size()}, {value.begin(), value.size()});
  }
  return out;
}

}  // namespace troupe
