#include <algorithm>
#include <string_view>

#include "text.h"

namespace troupe::capnpc {

std::string BaseName(const std::string& schema) {
  const size_t slash = schema.rfind('/');
  const auto file = slash == std::string::npos ? schema : schema.substr(slash + 1);
  return file.substr(0, file.rfind(".capnp"));
}

std::vector<std::string> ActorParameters(const Method& method) {
  std::vector<std::string> out;
  std::string results = "results";
  for (const auto& field : method.params) {
    out.push_back(field.type + " " + field.name);
    if (field.name == results) results = "results_";
  }
  if (method.results == Results::kBuilder) {
    out.push_back(method.results_struct + "::Builder " + results);
  }
  return out;
}

std::vector<std::string> RefParameters(const Method& method, Defaults defaults) {
  size_t first_optional = method.params.size();
  while (first_optional > 0 && !method.params[first_optional - 1].default_value.empty()) {
    --first_optional;
  }
  std::vector<std::string> out;
  for (size_t i = 0; i < method.params.size(); ++i) {
    const auto& field = method.params[i];
    std::string text = field.type + " ";
    if (field.kind == Kind::kBytes) text = "std::string_view ";
    if (field.kind == Kind::kValue || field.kind == Kind::kRef) {
      text = "const " + field.type + "& ";
    }
    text += field.name;
    if (defaults == Defaults::kShown && i >= first_optional) text += " = " + field.default_value;
    out.push_back(text);
  }
  return out;
}

std::vector<std::string> FillParameters(const Method& method) {
  return {"::kj::FunctionParam<void(" + method.params_struct + "::Builder)> fill"};
}

std::string ActorResult(const Method& method) {
  return method.result_type.empty() ? "void" : method.result_type;
}

std::string RefResult(const Method& method) {
  if (method.results == Results::kBuilder)
    return "::capnp::Response<" + method.results_struct + ">";
  return ActorResult(method);
}

std::string Listed(const std::string& begin, const std::vector<std::string>& items,
                   const std::string& end) {
  constexpr size_t kColumns = 100;
  std::string line = begin + "(";
  const std::string indent(begin.find_first_not_of(' ') + 4, ' ');
  size_t whole = line.size() + end.size() + 1;
  for (const auto& item : items) whole += item.size() + 2;
  std::string out;
  if (whole > kColumns + 2) {
    out = line + "\n";
    line = indent;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const bool last = i + 1 == items.size();
    const auto item = items[i] + (last ? ")" + end : ",");
    if (line.size() + item.size() > kColumns && line != indent) {
      while (line.back() == ' ') line.pop_back();
      out += line + "\n";
      line = indent;
    }
    line += item + (last ? "" : " ");
  }
  if (items.empty()) line += ")" + end;
  return out + line;
}

std::string Unqualified(const File& file, const std::string& text) {
  std::string out;
  bool comment = false, quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') comment = quoted = false;
    if (!quoted && text.compare(i, 2, "//") == 0) comment = true;
    if (!comment && c == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
    if (!comment && !quoted && text.compare(i, 2, "::") == 0 &&
        (i == 0 || std::string_view(" \n(<!&").find(text[i - 1]) != std::string_view::npos)) {
      bool known = false;
      for (const std::string name : {"troupe", "capnp", "kj", "absl"}) {
        const auto& spaces = file.namespaces;
        const bool hidden = std::find(spaces.begin(), spaces.end(), name) != spaces.end();
        known |= !hidden && text.compare(i + 2, name.size() + 2, name + "::") == 0;
      }
      if (known) {
        ++i;
        continue;
      }
    }
    out.push_back(c);
  }
  return out;
}

std::string NamedWith(std::string begin) {
  const std::string_view task = "::troupe::Task<";
  return begin.replace(begin.find(task), task.size(), "::troupe::NamedTask<") + "With";
}

}  // namespace troupe::capnpc
