#include "troupe/actors/registry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kj/debug.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

// As in troupe.capnp.
constexpr uint64_t kReadOnly = 0xc0f8a7b2d3e41596ull;
constexpr uint64_t kResumable = 0xd4b1907c6ae3f582ull;
constexpr uint64_t kReentrant = 0xa41f86d3c7095be2ull;
constexpr uint64_t kIdleTimeout = 0x8f61d2c95be7a340ull;
constexpr uint64_t kDurable = 0xf30a7bd1524e9c68ull;

std::string ShortName(capnp::InterfaceSchema schema) {
  const auto name = schema.getShortDisplayName();
  return std::string(name.begin(), name.size());
}

bool Has(capnp::List<capnp::schema::Annotation>::Reader annotations, uint64_t id) {
  for (auto annotation : annotations) {
    if (annotation.getId() == id) return true;
  }
  return false;
}

void AddMethods(capnp::InterfaceSchema schema, ActorType& type) {
  for (auto method : schema.getMethods()) {
    const auto name = method.getProto().getName();
    const auto annotations = method.getProto().getAnnotations();
    type.methods[{schema.getProto().getId(), method.getOrdinal()}] = MethodInfo{
        absl::StrCat(ShortName(schema), ".", std::string(name.begin(), name.size())),
        Has(annotations, kReadOnly), Has(annotations, kResumable), Has(annotations, kReentrant)};
  }
  for (auto parent : schema.getSuperclasses()) AddMethods(parent, type);
}

}  // namespace

void Registry::Add(capnp::InterfaceSchema schema, ActorType type) {
  type.id = schema.getProto().getId();
  type.name = ShortName(schema);
  type.interceptors = interceptors_;
  AddMethods(schema, type);
  for (auto annotation : schema.getProto().getAnnotations()) {
    if (annotation.getId() != kIdleTimeout) continue;
    const auto duration = annotation.getValue().getStruct().getAs<schema::Duration>();
    type.idle_timeout = absl::Milliseconds(duration.getMilliseconds());
  }
  if (type.options.idle_timeout) type.idle_timeout = *type.options.idle_timeout;
  // A class without state, such as a mock, has nothing to put on a disk.
  type.durable = type.has_state && Has(schema.getProto().getAnnotations(), kDurable);
  if (!types_.emplace(type.id, type).second) {
    kj::throwFatalException(Failed(absl::StrCat("actor type ", type.name,
                                                " is hosted twice: call Host() once for it, or "
                                                "give the second interface an id of its own")));
  }
}

void Registry::Intercept(std::shared_ptr<Interceptor> interceptor, Place place) {
  const auto at = place == Place::kOutermost ? interceptors_->begin() : interceptors_->end();
  interceptors_->insert(at, std::move(interceptor));
}

Registry Registry::OfRoles(const std::vector<std::string>& roles) const {
  Registry out;
  out.interceptors_ = interceptors_;
  for (const auto& [id, type] : types_) {
    const auto& role = type.options.role;
    if (roles.empty() || std::find(roles.begin(), roles.end(), role) != roles.end()) {
      out.types_.emplace(id, type);
    }
  }
  return out;
}

Registry Registry::OnDisk() const {
  Registry out = *this;
  for (auto& [id, type] : out.types_) type.durable = type.has_state;
  return out;
}

const ActorType* Registry::FindDurable() const {
  for (const auto& [id, type] : types_) {
    if (type.durable) return &type;
  }
  return nullptr;
}

std::set<std::string> Registry::roles() const {
  std::set<std::string> out;
  for (const auto& [id, type] : types_) out.insert(type.options.role);
  return out;
}

const ActorType* Registry::Find(uint64_t type) const {
  auto it = types_.find(type);
  return it == types_.end() ? nullptr : &it->second;
}

}  // namespace troupe
