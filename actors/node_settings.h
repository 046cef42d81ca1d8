// NodeSettings: the settings of a node, and the options that follow from them.
//
// Pure: random and the number of cores come in. The table in node_settings.cc is the list that
// `--help` prints. Errors: InvalidArgument, as Settings has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "troupe/actors/node.h"
#include "troupe/actors/settings.h"
#include "troupe/runtime/log.h"

namespace troupe {

struct NodeDefaults {
  std::string name = "node-1";  // main() draws "node-" and six hex digits.
  size_t cores = 1;
};

// The settings there are, fewer than 40.
std::vector<SettingInfo> NodeSettingTable(const NodeDefaults& defaults);

struct NodeSettings {
  NodeOptions node;
  std::optional<std::string> data_directory;
  std::optional<std::string> gossip_key_file;  // Of which node.membership.gossip_keys are to be.
  std::optional<std::string> trace_file;
  std::optional<std::string> permissions_file;
  LogLevel log_level = LogLevel::kInfo;
  absl::Duration drain_limit;
};

// `settings` were read with NodeSettingTable(). Errors where settings contradict each other, and
// where a node would be reachable from outside with nothing to protect it.
absl::StatusOr<NodeSettings> ToNodeSettings(const Settings& settings);

// Whether a numeric host:port or [host]:port is of this computer only.
bool IsLoopback(const std::string& address);

}  // namespace troupe
