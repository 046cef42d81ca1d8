#include "troupe/actors/settings_file.h"

#include <algorithm>
#include <optional>
#include <sstream>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

std::string Place(const std::string& path, const toml::source_region& source) {
  return absl::StrCat(path, " line ", source.begin.line);
}

// Nothing for what no setting can be: a table, a date.
std::optional<std::string> TextOf(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return absl::StrCat(number->get());
  if (const auto* on = node.as_boolean()) return std::string(on->get() ? "true" : "false");
  if (const auto* number = node.as_floating_point()) {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << number->get();
    return out.str();
  }
  return std::nullopt;
}

std::optional<std::string> ValueOf(const toml::node& node) {
  const auto* list = node.as_array();
  if (list == nullptr) return TextOf(node);
  std::string joined;
  for (const auto& item : *list) {
    auto text = TextOf(item);
    if (!text) return std::nullopt;
    absl::StrAppend(&joined, joined.empty() ? "" : ",", *text);
  }
  return joined;
}

}  // namespace

absl::StatusOr<std::vector<FileSetting>> ReadSettingsFile(const std::string& text,
                                                          const std::string& path) {
  auto parsed = toml::parse(text, path);
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat(Place(path, parsed.error().source()),
                     ": not TOML: ", std::string(parsed.error().description())));
  }
  std::vector<FileSetting> settings;
  for (const auto& [key, node] : parsed.table()) {
    auto value = ValueOf(node);
    if (!value) {
      return absl::InvalidArgumentError(absl::StrCat(
          Place(path, node.source()), ": expected text, a number, true, false or a list for \"",
          std::string(key.str()), "\", got ", node.is_table() ? "a table" : "something else"));
    }
    settings.push_back({std::string(key.str()), std::move(*value), node.source().begin.line});
  }
  std::sort(settings.begin(), settings.end(),
            [](const auto& a, const auto& b) { return a.line < b.line; });
  return settings;
}

}  // namespace troupe
