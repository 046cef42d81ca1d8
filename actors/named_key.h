// NamedKey: the key of a topic or a group, made of its name and its language, the interface of
// those that it is for. Two languages make two of one name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

inline constexpr size_t kNamedKeyNameMax = 900;  // Leaves room for the language, and for serials.

// `what`: "topic" or "group", for errors. Throws FAILED for a name of none or too many bytes.
std::string NamedKey(std::string_view what, std::string_view name, uint64_t language);
// The name in it.
std::string_view NameInKey(std::string_view key);

}  // namespace troupe
