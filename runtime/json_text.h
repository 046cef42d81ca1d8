// A text as JSON has it: in quotes, with what must be escaped escaped. Bytes above 0x7f stay as
// they are, so UTF-8 stays UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

std::string QuotedJson(std::string_view text);

}  // namespace troupe
