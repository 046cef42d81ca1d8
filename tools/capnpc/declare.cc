#include "text.h"

namespace troupe::capnpc {

// Both 0.9 and 1.x begin a struct or an interface with these two lines.
std::optional<std::string> Declare(const File& file, std::string header, std::string& missing) {
  for (const auto& want : file.declarations) {
    const std::string begin = "\nstruct " + want.type + " {\n  " + want.name + "() = delete;\n";
    const size_t at = header.find(begin);
    if (at == std::string::npos) {
      missing = want.type;
      return std::nullopt;
    }
    std::string lines = "\n  // Of " + BaseName(file.schema) + ".troupe.h.\n";
    for (const auto& line : want.lines) lines += "  " + line + "\n";
    header.insert(at + begin.size(), lines);
  }
  return header;
}

}  // namespace troupe::capnpc
