#include "troupe/actors/any_ref.h"

#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe {

AnyRef::AnyRef(const AnyRef& other)
    : origin_(Share(other.origin_)), actor_(other.actor_), options_(other.options_) {}

AnyRef& AnyRef::operator=(AnyRef other) noexcept {
  origin_ = kj::mv(other.origin_);
  actor_ = std::move(other.actor_);
  options_ = std::move(other.options_);
  return *this;
}

void AnyRef::Write(schema::ActorRef::Builder out) const { WriteActor(actor_, out); }

void WriteActor(const ActorId& actor, schema::ActorRef::Builder out) {
  out.setType(actor.type);
  out.setKey(kj::arrayPtr(reinterpret_cast<const kj::byte*>(actor.key.data()), actor.key.size()));
}

ActorId ReadActor(schema::ActorRef::Reader in) {
  const auto key = in.getKey().asChars();
  return {in.getType(), std::string(key.begin(), key.size())};
}

AnyRef AnyRef::Of(capnp::Capability::Client capability) {
  auto hook = capnp::ClientHook::from(kj::mv(capability));
  if (hook->isNull()) return AnyRef();
  auto ref = FindRef(*hook);
  if (!ref) {
    kj::throwFatalException(Failed("a capability is not a ref of an actor; ask for it with Get()"));
  }
  return *std::move(ref);
}

capnp::Capability::Client AnyRef::ToCapability() const {
  if (origin_.get() == nullptr) return nullptr;
  return ReferTo(Share(origin_), actor_, options_);
}

AnyRef AnyRef::With(std::optional<absl::Duration> deadline) const {
  AnyRef out(*this);
  out.options_.deadline = deadline;
  return out;
}

AnyRef AnyRef::With(std::string_view key, std::string_view value) const {
  AnyRef out(*this);
  out.options_.metadata = out.options_.metadata.With(key, value);
  return out;
}

std::string AnyRef::ToString(const char* interface) const {
  if (!*this) return absl::StrCat(interface, "/(nobody)");
  const auto id = actor_.ToString();
  return absl::StrCat(interface, id.substr(id.find('/')));
}

}  // namespace troupe
