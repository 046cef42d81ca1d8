// Names: from the schema's to C++'s.
#pragma once

#include <string>
#include <string_view>

namespace troupe::capnpc {

std::string Pascal(std::string_view name);     // "firstName": "FirstName"
std::string SnakeCase(std::string_view name);  // "firstName": "first_name"; "new": "new_"

// "// " before each line; empty for an empty comment.
std::string Comment(std::string_view text, std::string_view indent);

}  // namespace troupe::capnpc
