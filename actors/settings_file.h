// ReadSettingsFile: a TOML file of settings as a flat list.
//
// Pure. Errors: InvalidArgument, naming the file and the line.
// Source: TOML 1.0, toml.io, as far as settings need it: keys, text, numbers, switches, lists.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace troupe {

struct FileSetting {
  std::string key;
  std::string value;  // As a flag would have it; a list with commas.
  unsigned line = 0;
};

// In the order of the file. `path` is for errors.
absl::StatusOr<std::vector<FileSetting>> ReadSettingsFile(const std::string& text,
                                                          const std::string& path);

}  // namespace troupe
