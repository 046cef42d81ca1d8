// Ids and readings of annotations: those of troupe.capnp, and those of capnp/c++.capnp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schema.h"
#include "troupe/actors/troupe.capnp.h"

namespace troupe::capnpc {

namespace annotation {
inline constexpr uint64_t kActor = 0xe2b7c04d9f5a3168ull;
inline constexpr uint64_t kReadOnly = 0xc0f8a7b2d3e41596ull;
inline constexpr uint64_t kResumable = 0xd4b1907c6ae3f582ull;
inline constexpr uint64_t kDeadline = 0x97d3f1a86c2e4b05ull;
inline constexpr uint64_t kIdleTimeout = 0x8f61d2c95be7a340ull;
inline constexpr uint64_t kValue = 0xb5c91e70d84f2a36ull;
inline constexpr uint64_t kReentrant = 0xa41f86d3c7095be2ull;
inline constexpr uint64_t kDurable = 0xf30a7bd1524e9c68ull;
inline constexpr uint64_t kCxxNamespace = 0xb9c6f99ebf805f2cull;
inline constexpr uint64_t kCxxName = 0xf264a779fef191ceull;
}  // namespace annotation

inline constexpr uint64_t kStreamResult = 0x995f9a3377c0b16eull;  // capnp/stream.capnp
inline constexpr uint32_t kDeadlineMaxMs = 300'000;               // actors/call_record.h

// `name`, or what $Cxx.name says instead.
inline std::string NameOrRenamed(std::string name, Annotations annotations) {
  const auto found = Find(annotations, annotation::kCxxName);
  return found.times > 0 ? std::string(found.value.getText().cStr()) : name;
}

std::string MethodOrRenamed(capnp::schema::Method::Reader method);  // "deposit"
std::string MethodName(capnp::schema::Method::Reader method);       // "Deposit"
std::vector<std::string> NamespacesOf(Node file);

}  // namespace troupe::capnpc
