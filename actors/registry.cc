#include "troupe/actors/registry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"

namespace troupe {
namespace {

constexpr uint64_t kReadOnlyAnnotation = 0xc0f8a7b2d3e41596ull;  // $readOnly in troupe.capnp.

std::string ShortName(capnp::InterfaceSchema schema) {
  const auto name = schema.getShortDisplayName();
  return std::string(name.begin(), name.size());
}

bool IsReadOnly(capnp::InterfaceSchema::Method method) {
  for (auto annotation : method.getProto().getAnnotations()) {
    if (annotation.getId() == kReadOnlyAnnotation) return true;
  }
  return false;
}

void AddMethods(capnp::InterfaceSchema schema, ActorType& type) {
  for (auto method : schema.getMethods()) {
    const auto name = method.getProto().getName();
    type.methods[{schema.getProto().getId(), method.getOrdinal()}] =
        MethodInfo{absl::StrCat(ShortName(schema), ".", std::string(name.begin(), name.size())),
                   IsReadOnly(method)};
  }
  for (auto parent : schema.getSuperclasses()) AddMethods(parent, type);
}

}  // namespace

void Registry::Add(capnp::InterfaceSchema schema, ActorType type) {
  type.id = schema.getProto().getId();
  type.name = ShortName(schema);
  AddMethods(schema, type);
  KJ_REQUIRE(types_.emplace(type.id, type).second, "an actor type is hosted twice", type.name);
}

const ActorType* Registry::Find(uint64_t type) const {
  auto it = types_.find(type);
  return it == types_.end() ? nullptr : &it->second;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> out;
  for (const auto& [id, type] : types_) out.push_back(type.name);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace troupe
