#include "troupe/actors/child_key.h"

namespace troupe {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kReserved = "\0troupe child\0"sv;

}  // namespace

std::string ChildKey(std::string_view name) {
  std::string out(kReserved);
  out += name;
  return out;
}

bool IsChildKey(std::string_view key) { return key.starts_with(kReserved); }

std::string_view NameOfChildKey(std::string_view key) {
  key.remove_prefix(kReserved.size());
  return key;
}

}  // namespace troupe
