// Bytes that arrived anywhere in memory, as the aligned words that a Cap'n Proto reader needs.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "capnp/common.h"
#include "kj/array.h"

namespace troupe {

// A copy; of no bytes, no words. Bytes behind the last whole word are left out.
inline kj::Array<capnp::word> CopyWords(std::span<const std::byte> bytes) {
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  // Of nothing the pointers may be null, which memcpy does not allow.
  if (words.size() > 0) {
    std::memcpy(static_cast<void*>(words.begin()), bytes.data(),
                words.size() * sizeof(capnp::word));
  }
  return words;
}

inline kj::Array<capnp::word> CopyWords(kj::ArrayPtr<const kj::byte> bytes) {
  return CopyWords(std::as_bytes(std::span(bytes.begin(), bytes.size())));
}

inline kj::Array<capnp::word> CopyWords(kj::ArrayPtr<const capnp::word> words) {
  return CopyWords(words.asBytes());
}

inline kj::Array<capnp::word> CopyWords(std::string_view bytes) {
  return CopyWords(std::as_bytes(std::span(bytes)));
}

}  // namespace troupe
