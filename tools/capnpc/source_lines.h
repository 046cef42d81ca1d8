// SourceLines: on which line of a schema's text a thing is declared.
//
// The compiler's request tells no positions, and an error without one is half an error. Names are
// as in the schema, from the file down: "Account", "Account.deposit", "Outer.Inner.field".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::capnpc {

class SourceLines {
 public:
  SourceLines() = default;
  explicit SourceLines(std::string_view text);

  std::optional<int> Find(const std::string& name) const;

 private:
  std::map<std::string, int> lines_;
};

}  // namespace troupe::capnpc
