// Limits: bounds of the cluster value, held by Apply and believed of nothing that arrives.
//
// Far above sensible use: a value of the largest kind must still fit one message.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe {

inline constexpr uint32_t kClusterFormat = 2;  // The newest format this program can change.
inline constexpr uint32_t kDurableFormat = 2;  // Of a value with durable shards; else it is 1.

inline constexpr size_t kNodesMax = 4096;
inline constexpr size_t kLeftNodesKept =
    64;  // Older ones are forgotten, so that names may be random.
inline constexpr size_t kShardsMax = 65536;
inline constexpr size_t kReplicasMax = 16;
inline constexpr size_t kVotersMax = 9;
inline constexpr size_t kAddressesMax = 16;
inline constexpr size_t kRolesMax = 32;              // Of a node; and groups of a cluster.
inline constexpr size_t kTypesMax = 512;             // That the nodes of a cluster host.
inline constexpr size_t kTextBytesMax = 255;         // Of a name, zone, role or address.
inline constexpr size_t kCopiesMax = 64;             // In one set of one shard.
inline constexpr size_t kCommandsMax = 4096;         // In one message to or from a coordinator.
inline constexpr size_t kValueBytesMax = 32u << 20;  // An encoded value or difference.

}  // namespace troupe
