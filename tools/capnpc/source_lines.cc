#include "source_lines.h"

#include <cctype>
#include <vector>

namespace troupe::capnpc {
namespace {

struct Token {
  std::string text;
  int line;
};

bool IsNamePart(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Names whole, everything else by character; no comments, no quoted text.
std::vector<Token> Tokens(std::string_view text) {
  std::vector<Token> out;
  int line = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
    } else if (c == '#') {
      while (i + 1 < text.size() && text[i + 1] != '\n') ++i;
    } else if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
        if (i < text.size() && text[i] == '\n') ++line;
      }
    } else if (IsNamePart(c)) {
      const size_t begin = i;
      while (i + 1 < text.size() && IsNamePart(text[i + 1])) ++i;
      out.push_back({std::string(text.substr(begin, i + 1 - begin)), line});
    } else if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      out.push_back({std::string(1, c), line});
    }
  }
  return out;
}

bool IsScopeWord(const std::string& word) {
  return word == "struct" || word == "interface" || word == "enum";
}

}  // namespace

SourceLines::SourceLines(std::string_view text) {
  const auto tokens = Tokens(text);
  std::vector<std::string> scopes = {""};  // Each with the dot that its members' names need.
  std::string opened = scopes.back();      // What the next brace opens.
  bool at_start = true;                    // Of a declaration.
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto& word = tokens[i].text;
    if (word == "{") {
      scopes.push_back(opened);
      at_start = true;
    } else if (word == "}") {
      if (scopes.size() > 1) scopes.pop_back();
      at_start = true;
    } else if (word == ";") {
      at_start = true;
    } else if (at_start) {
      at_start = false;
      opened = scopes.back();  // An unnamed union's members are those of its struct.
      const bool declares =
          IsScopeWord(word) && i + 1 < tokens.size() && IsNamePart(tokens[i + 1].text.front());
      const auto& name = declares ? tokens[i + 1].text : word;
      if (!IsNamePart(name.front()) || (!declares && word == "union")) continue;
      lines_.emplace(scopes.back() + name, tokens[i].line);
      opened = scopes.back() + name + ".";
    }
  }
}

std::optional<int> SourceLines::Find(const std::string& name) const {
  auto it = lines_.find(name);
  if (it == lines_.end()) return std::nullopt;
  return it->second;
}

}  // namespace troupe::capnpc
