// The calling thread's name, as debuggers, top and core dumps show it.
#pragma once

#include <string>

namespace troupe {

void SetThreadName(const std::string& name);  // Cut to 15 characters.
std::string ThreadName();

}  // namespace troupe
