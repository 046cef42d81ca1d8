// ChildKey: the key by which a ref names a child of an actor (children.h).
//
// Values; pure. The reserved bytes, then the child's name. It means something to that actor's
// object and its children alone: no shard has such a key, and users cannot choose one.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

std::string ChildKey(std::string_view name);

// Whether it begins with the reserved bytes.
bool IsChildKey(std::string_view key);

std::string_view NameOfChildKey(std::string_view key);  // Of one that is.

}  // namespace troupe
