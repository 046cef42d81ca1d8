// Settings: named values that an operator sets by flag, environment, file or not at all.
//
// Pure: what is read comes in as SettingSources. A flag counts more than the environment, that more
// than the file, that more than the default. Whoever sets something unknown, or to a value that
// cannot be, is told so, never ignored. node_settings.h has the settings of a node.
//
// Errors: InvalidArgument, naming the setting, where it was set, what was expected and what came.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace troupe {

enum class SettingKind : uint8_t {
  kText,
  kNumber,
  kList,    // Separated by commas; a flag given again adds to it.
  kSwitch,  // "true" or "false"; as a flag its name alone means true.
};

// One row of the table of settings.
struct SettingInfo {
  std::string name;  // "data-dir": flag --data-dir, environment TROUPE_DATA_DIR, key data-dir.
  SettingKind kind = SettingKind::kText;
  std::string placeholder;  // "PATH", for the help.
  std::string fallback;     // The default.
  std::string expected;     // "a number from 1 to 256", for the help and for errors.
  std::string help;
  bool (*valid)(const std::string& value) = nullptr;  // Of one item, if it is a list.
};

enum class SettingOrigin : uint8_t { kDefault, kFile, kEnvironment, kFlag };

// A setting as it is in force.
struct Setting {
  SettingInfo info;
  std::string value;
  SettingOrigin origin = SettingOrigin::kDefault;
  std::string where = "default";  // "flag --listen", "TROUPE_LISTEN", "a.toml line 3".
};

struct SettingSources {
  std::vector<std::string> arguments;    // Without the program's name.
  std::vector<std::string> environment;  // "NAME=value"; of these TROUPE_* count.
  // The whole file; its error says why not.
  std::function<absl::StatusOr<std::string>(const std::string& path)> read_file;
};

class Settings {
 public:
  enum class Request : uint8_t { kRun, kHelp, kPrint };  // --help, --print-config.

  // `table` has a setting "config", which names the file. With kHelp nothing else has been looked
  // at.
  static absl::StatusOr<Settings> Read(const std::vector<SettingInfo>& table,
                                       const SettingSources& sources);

  Request request() const { return request_; }
  const std::vector<Setting>& all() const { return settings_; }

  // `name` must be in the table.
  const Setting& Find(std::string_view name) const;
  const std::string& Text(std::string_view name) const { return Find(name).value; }
  bool On(std::string_view name) const { return Find(name).value == "true"; }
  double Number(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;

  // What every setting is and where from; a file that --config could read.
  std::string Print() const;
  // What can be set, with units and defaults.
  std::string Help(std::string_view program) const;

 private:
  explicit Settings(const std::vector<SettingInfo>& table);
  absl::Status TakeFlags(const std::vector<std::string>& arguments);
  absl::Status TakeEnvironment(const std::vector<std::string>& environment);
  absl::Status TakeFile(const std::string& text, const std::string& path);
  absl::Status Set(Setting& setting, std::string value, SettingOrigin origin, std::string where);
  Setting* Look(std::string_view name);
  // The known name that is most like an unknown one.
  std::string Nearest(std::string_view name) const;

  Request request_ = Request::kRun;
  std::vector<Setting> settings_;
};

// An error about a setting that is well-formed but cannot be; ends with where it was set.
absl::Status BadSetting(const Setting& setting, const std::string& complaint);

// The number of single-letter edits between two words.
size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace troupe
