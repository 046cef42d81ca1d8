#include "troupe/actors/named_key.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kj/exception.h"
#include "troupe/actors/observer_key.h"
#include "troupe/rpc/status.h"

namespace troupe {

std::string NamedKey(std::string_view what, std::string_view name, uint64_t language) {
  if (name.empty() || name.size() > kNamedKeyNameMax) {
    kj::throwFatalException(
        Failed(absl::StrCat("the name of a ", std::string(what), " has ", name.size(),
                            " bytes; it has 1 to ", kNamedKeyNameMax)));
  }
  return UserKey(absl::StrCat(std::string(name), "@", absl::StrFormat("%016x", language)));
}

std::string_view NameInKey(std::string_view key) { return key.substr(0, key.rfind('@')); }

}  // namespace troupe
