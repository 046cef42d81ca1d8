#include "annotations.h"

#include "names.h"

namespace troupe::capnpc {

std::string MethodOrRenamed(capnp::schema::Method::Reader method) {
  return NameOrRenamed(method.getName().cStr(), method.getAnnotations());
}

std::string MethodName(capnp::schema::Method::Reader method) {
  return Pascal(MethodOrRenamed(method));
}

std::vector<std::string> NamespacesOf(Node file) {
  std::vector<std::string> out;
  const auto found = Find(file.getAnnotations(), annotation::kCxxNamespace);
  if (found.times == 0) return out;
  std::string rest = found.value.getText().cStr();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find("::"), rest.size());
    out.push_back(rest.substr(0, end));
    rest.erase(0, end + 2);
  }
  return out;
}

}  // namespace troupe::capnpc
