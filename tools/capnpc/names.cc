#include "names.h"

#include <cctype>
#include <set>

namespace troupe::capnpc {
namespace {

bool IsUpper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }

// What cannot be the name of a parameter or a member.
bool IsTaken(const std::string& name) {
  static const std::set<std::string> kTaken = {
      "alignas",  "alignof",  "and",       "asm",       "auto",     "bool",      "break",
      "case",     "catch",    "char",      "class",     "co_await", "co_return", "co_yield",
      "concept",  "const",    "continue",  "decltype",  "default",  "delete",    "do",
      "double",   "else",     "enum",      "explicit",  "export",   "extern",    "false",
      "float",    "for",      "friend",    "goto",      "if",       "inline",    "int",
      "long",     "mutable",  "namespace", "new",       "noexcept", "not",       "nullptr",
      "operator", "or",       "private",   "protected", "public",   "register",  "requires",
      "return",   "short",    "signed",    "sizeof",    "static",   "struct",    "switch",
      "template", "this",     "throw",     "true",      "try",      "typedef",   "typename",
      "union",    "unsigned", "using",     "virtual",   "void",     "volatile",  "while",
      "xor",      "troupe",   "std",       "capnp",     "kj"};
  return kTaken.contains(name);
}

}  // namespace

std::string Pascal(std::string_view name) {
  std::string out(name);
  if (!out.empty()) out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out;
}

std::string SnakeCase(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    // "userID" is user_id, "aBC" is a_bc, "HTTPServer" is http_server.
    const bool starts = IsUpper(name[i]) && i > 0 &&
                        (!IsUpper(name[i - 1]) || (i + 1 < name.size() && !IsUpper(name[i + 1])));
    if (starts && out.back() != '_') out.push_back('_');
    out.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(name[i]))));
  }
  if (IsTaken(out)) out.push_back('_');
  return out;
}

std::string Comment(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    while (!line.empty() && line.back() == '\\') line.remove_suffix(1);  // Would go on in the next.
    out.append(indent).append(line.empty() ? "//" : "// ").append(line).push_back('\n');
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace troupe::capnpc
