#include "troupe/runtime/thread_name.h"

#include <pthread.h>

namespace troupe {

namespace {
constexpr size_t kNameMax = 15;  // The kernel's limit.
}  // namespace

void SetThreadName(const std::string& name) {
  ::pthread_setname_np(::pthread_self(), name.substr(0, kNameMax).c_str());
}

std::string ThreadName() {
  char name[kNameMax + 1] = "";
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

}  // namespace troupe
