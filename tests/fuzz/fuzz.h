// What the fuzz targets share: bytes as spans, inputs cut into pieces, and a claim that must hold.
//
// A target is one function of untrusted bytes, LLVMFuzzerTestOneInput. With clang it is linked to
// libFuzzer (./dev fuzz); every other build links it to replay.cc, which runs the corpus through
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace troupe::fuzz {

inline std::span<const std::byte> AsBytes(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// The next piece of `input`: two bytes of length, little-endian, then so many bytes, or what is
// left. Removes it from `input`; empty at the end.
inline std::span<const std::byte> TakePiece(std::span<const std::byte>& input) {
  if (input.size() < 2) return input = {};
  const size_t wanted = std::to_integer<size_t>(input[0]) | std::to_integer<size_t>(input[1]) << 8;
  input = input.subspan(2);
  const auto piece = input.first(wanted < input.size() ? wanted : input.size());
  input = input.subspan(piece.size());
  return piece;
}

// A claim about what was decoded. Ends the process, so that the fuzzer keeps the input.
inline void Require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

}  // namespace troupe::fuzz
