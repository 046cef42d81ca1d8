// kj/string.h of Cap'n Proto 0.9 for compilers that go by C++20's later rule for `==` (P2468):
// there a class with an operator!= gets no reversed operator==, which that version counts on.
#pragma once
#pragma GCC system_header

#include_next <kj/string.h>

namespace kj {

inline bool operator==(const char* a, const StringPtr& b) { return b == StringPtr(a); }
inline bool operator!=(const char* a, const StringPtr& b) { return !(b == StringPtr(a)); }

}  // namespace kj
