#include "troupe/actors/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/actors/settings_file.h"

namespace troupe {
namespace {

constexpr std::string_view kPrefix = "TROUPE_";
constexpr size_t kHelpColumn = 27;
constexpr size_t kHelpWidth = 100;

std::string EnvironmentName(const std::string& name) {
  std::string out(kPrefix);
  for (char c : name) {
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string NameOfEnvironment(std::string_view variable) {
  std::string out;
  for (char c : variable.substr(kPrefix.size())) {
    out += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> items;
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string item = list.substr(begin, end - begin);
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    if (!item.empty()) items.push_back(std::move(item));
    begin = end + 1;
  }
  return items;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string AsToml(const Setting& setting) {
  switch (setting.info.kind) {
    case SettingKind::kSwitch:
    case SettingKind::kNumber:
      return setting.value;
    case SettingKind::kText:
      return Quoted(setting.value);
    case SettingKind::kList:
      break;
  }
  std::string out;
  for (const auto& item : Split(setting.value)) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", Quoted(item));
  }
  return absl::StrCat("[", out, "]");
}

// Appends `text` in lines that begin at the help's column; the first one begins where we are.
void AppendWrapped(std::string& out, const std::string& text) {
  size_t column = kHelpColumn;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (column > kHelpColumn && column + 1 + end - begin > kHelpWidth) {
      absl::StrAppend(&out, "\n", std::string(kHelpColumn, ' '));
      column = kHelpColumn;
    } else if (column > kHelpColumn) {
      out += ' ';
      ++column;
    }
    out += text.substr(begin, end - begin);
    column += end - begin;
    begin = end + 1;
  }
  out += '\n';
}

void AppendHelp(std::string& out, const std::string& left, const std::string& right) {
  std::string line = absl::StrCat("  ", left);
  if (line.size() + 2 > kHelpColumn) absl::StrAppend(&line, "\n");
  const size_t used = line.back() == '\n' ? 0 : line.size();
  absl::StrAppend(&out, line, std::string(kHelpColumn - used, ' '));
  AppendWrapped(out, right);
}

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

absl::Status BadSetting(const Setting& setting, const std::string& complaint) {
  return absl::InvalidArgumentError(
      absl::StrCat(setting.info.name, ": ", complaint, " (", setting.where, ")"));
}

Settings::Settings(const std::vector<SettingInfo>& table) {
  for (const auto& info : table) {
    Setting setting;
    setting.info = info;
    setting.value = info.fallback;
    settings_.push_back(std::move(setting));
  }
}

absl::StatusOr<Settings> Settings::Read(const std::vector<SettingInfo>& table,
                                        const SettingSources& sources) {
  Settings settings(table);
  for (const auto& argument : sources.arguments) {
    if (argument != "--help" && argument != "-h") continue;
    settings.request_ = Request::kHelp;
    return settings;
  }
  // The most important first: Set() keeps what is there already.
  if (auto taken = settings.TakeFlags(sources.arguments); !taken.ok()) return taken;
  if (auto taken = settings.TakeEnvironment(sources.environment); !taken.ok()) return taken;
  const Setting& config = settings.Find("config");
  if (config.value.empty()) return settings;
  auto text = sources.read_file(config.value);
  if (!text.ok()) return BadSetting(config, std::string(text.status().message()));
  if (auto taken = settings.TakeFile(*text, config.value); !taken.ok()) return taken;
  return settings;
}

absl::Status Settings::TakeFlags(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--print-config") {
      request_ = Request::kPrint;
      continue;
    }
    if (argument.rfind("--", 0) != 0 || argument.size() == 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected a flag such as --listen, got \"", argument, "\""));
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == argument.npos ? equals : equals - 2);
    Setting* setting = Look(name);
    if (setting == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag --", name, "; the nearest known is --", Nearest(name)));
    }
    const std::string where = absl::StrCat("flag --", name);
    std::string value;
    if (equals != argument.npos) {
      value = argument.substr(equals + 1);
    } else if (setting->info.kind == SettingKind::kSwitch) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "--", name, ": expected ", setting->info.expected, " after it, got nothing"));
    }
    if (setting->origin == SettingOrigin::kFlag) {  // Given before.
      if (setting->info.kind == SettingKind::kList && !setting->value.empty()) {
        value = absl::StrCat(setting->value, ",", value);
      }
      setting->origin = SettingOrigin::kDefault;
    }
    if (auto set = Set(*setting, std::move(value), SettingOrigin::kFlag, where); !set.ok()) {
      return set;
    }
  }
  return absl::OkStatus();
}

absl::Status Settings::TakeEnvironment(const std::vector<std::string>& environment) {
  for (const auto& entry : environment) {
    if (entry.rfind(kPrefix, 0) != 0) continue;
    const size_t equals = std::min(entry.find('='), entry.size());
    const std::string variable = entry.substr(0, equals);
    const std::string name = NameOfEnvironment(variable);
    Setting* setting = Look(name);
    if (setting == nullptr || EnvironmentName(name) != variable) {
      return absl::InvalidArgumentError(absl::StrCat("unknown environment variable ", variable,
                                                     "; the nearest known is ",
                                                     EnvironmentName(Nearest(name))));
    }
    std::string value = equals < entry.size() ? entry.substr(equals + 1) : "";
    auto set = Set(*setting, std::move(value), SettingOrigin::kEnvironment, variable);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status Settings::TakeFile(const std::string& text, const std::string& path) {
  auto entries = ReadSettingsFile(text, path);
  if (!entries.ok()) return entries.status();
  for (auto& entry : *entries) {
    const std::string where = absl::StrCat(path, " line ", entry.line);
    Setting* setting = Look(entry.key);
    if (setting == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": unknown key \"", entry.key,
                                                     "\"; the nearest known is \"",
                                                     Nearest(entry.key), "\""));
    }
    if (entry.key == "config") {
      // A printed configuration names the file it came from, which may be itself.
      continue;
    }
    auto set = Set(*setting, std::move(entry.value), SettingOrigin::kFile, where);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

// Values are judged even where a more important source hides them: a mistake waits there.
absl::Status Settings::Set(Setting& setting, std::string value, SettingOrigin origin,
                           std::string where) {
  Setting wanted = setting;
  wanted.value = std::move(value);
  wanted.origin = origin;
  wanted.where = std::move(where);
  if (wanted.info.kind == SettingKind::kSwitch) {
    if (wanted.value == "1" || wanted.value == "yes" || wanted.value == "on") wanted.value = "true";
    if (wanted.value == "0" || wanted.value == "no" || wanted.value == "off")
      wanted.value = "false";
  }
  const auto items =
      wanted.info.kind == SettingKind::kList ? Split(wanted.value) : std::vector{wanted.value};
  for (const auto& item : items) {
    if (wanted.info.valid == nullptr || wanted.info.valid(item)) continue;
    return BadSetting(wanted,
                      absl::StrCat("expected ", wanted.info.expected, ", got \"", item, "\""));
  }
  if (setting.origin == SettingOrigin::kDefault) setting = std::move(wanted);
  return absl::OkStatus();
}

Setting* Settings::Look(std::string_view name) {
  for (auto& setting : settings_) {
    if (setting.info.name == name) return &setting;
  }
  return nullptr;
}

std::string Settings::Nearest(std::string_view name) const {
  return std::min_element(settings_.begin(), settings_.end(),
                          [&](const Setting& a, const Setting& b) {
                            return EditDistance(name, a.info.name) <
                                   EditDistance(name, b.info.name);
                          })
      ->info.name;
}

const Setting& Settings::Find(std::string_view name) const {
  for (const auto& setting : settings_) {
    if (setting.info.name == name) return setting;
  }
  KJ_FAIL_REQUIRE("no such setting", std::string(name).c_str());
}

double Settings::Number(std::string_view name) const {
  return std::strtod(Text(name).c_str(), nullptr);
}

std::vector<std::string> Settings::List(std::string_view name) const { return Split(Text(name)); }

std::string Settings::Print() const {
  std::string out;
  for (const auto& setting : settings_) {
    std::string line = absl::StrCat(setting.info.name, " = ", AsToml(setting));
    if (line.size() < 40) line.resize(40, ' ');
    absl::StrAppend(&out, line, "  # ", setting.where, "\n");
  }
  return out;
}

std::string Settings::Help(std::string_view program) const {
  std::string out = absl::StrCat("usage: ", std::string(program), " [--SETTING VALUE]...\n\n");
  absl::StrAppend(&out,
                  "A setting is taken from its flag (--data-dir X), else from the environment "
                  "(TROUPE_DATA_DIR=X),\nelse from the file that --config names "
                  "(data-dir = \"X\"), else it has its default, in brackets.\n\n");
  for (const auto& setting : settings_) {
    const auto& info = setting.info;
    std::string right = absl::StrCat(
        info.help,
        info.kind == SettingKind::kSwitch ? "" : absl::StrCat(" Expects ", info.expected, "."));
    if (!info.fallback.empty()) absl::StrAppend(&right, " [", info.fallback, "]");
    AppendHelp(out,
               absl::StrCat("--", info.name, info.placeholder.empty() ? "" : " ", info.placeholder),
               right);
  }
  AppendHelp(out, "--print-config", "Prints every setting and where it comes from, then ends.");
  AppendHelp(out, "--help", "Prints this, then ends.");
  return out;
}

}  // namespace troupe
