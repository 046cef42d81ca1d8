// AnyRef: a ref as a value; RefTo: what the generated ref of an interface derives from.
//
//   Account::Ref alice = client.Get<Account>("alice");
//   uint64_t balance = co_await alice.WithDeadline(absl::Seconds(1)).Deposit(5);
//
// Copied, compared, hashed and printed by whom it names, the type and key of an actor; who calls
// and with which options is not part of that. It holds nothing alive and sends nothing until it is
// called. As parameter, result or in state it is written where the schema says :Account, or into an
// ActorRef (troupe.capnp).
//
// Belongs to the loop of whoever made it. Calls by one that refers to nobody fail.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "capnp/capability.h"
#include "kj/string.h"
#include "troupe/actors/call_origin.h"
#include "troupe/actors/ref.h"
#include "troupe/actors/troupe.capnp.h"

namespace troupe {

class AnyRef {
 public:
  AnyRef() = default;
  AnyRef(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options)
      : origin_(kj::mv(origin)), actor_(std::move(actor)), options_(options) {}
  AnyRef(const AnyRef& other);
  AnyRef(AnyRef&& other) noexcept = default;
  AnyRef& operator=(AnyRef other) noexcept;
  ~AnyRef() noexcept {}

  // Whom it names; type 0: nobody.
  const ActorId& id() const { return actor_; }
  const std::string& key() const { return actor_.key; }
  explicit operator bool() const { return actor_.type != 0; }

  void Write(schema::ActorRef::Builder out) const;

  friend bool operator==(const AnyRef& a, const AnyRef& b) { return a.actor_ == b.actor_; }
  friend auto operator<=>(const AnyRef& a, const AnyRef& b) { return a.actor_ <=> b.actor_; }
  template <typename H>
  friend H AbslHashValue(H h, const AnyRef& ref) {
    return H::combine(std::move(h), ref.actor_);
  }

 protected:
  // The null capability gives a ref to nobody, and it the null capability. Throws for a capability
  // that is no ref of an actor.
  static AnyRef Of(capnp::Capability::Client capability);
  capnp::Capability::Client ToCapability() const;
  AnyRef With(std::optional<absl::Duration> deadline) const;
  AnyRef With(std::string_view key, std::string_view value) const;
  std::string ToString(const char* interface) const;

 private:
  friend class OutCall;
  kj::Own<CallOrigin> origin_;
  ActorId actor_;
  CallOptions options_;
};

// A name, where a message says whom it means.
void WriteActor(const ActorId& actor, schema::ActorRef::Builder out);
ActorId ReadActor(schema::ActorRef::Reader in);

template <typename InterfaceType>
class RefTo : public AnyRef {
 public:
  using Interface = InterfaceType;

  RefTo() = default;
  RefTo(kj::Own<CallOrigin> origin, ActorId actor, CallOptions options)
      : AnyRef(kj::mv(origin), std::move(actor), options) {}
  // From and to what Cap'n Proto generates, so that fields take it as it is.
  template <std::derived_from<capnp::Capability::Client> Capability>
  requires std::is_convertible_v<Capability, typename InterfaceType::Client> RefTo(
      Capability capability)
      : AnyRef(Of(kj::mv(capability))) {}
  operator typename InterfaceType::Client() const {
    return ToCapability().template castAs<InterfaceType>();
  }
  // Of another type: that the actor has this interface is the caller's word. A call is told
  // UNIMPLEMENTED if not.
  explicit RefTo(const AnyRef& other) : AnyRef(other) {}

  // The same actor; calls by it end after that long, whatever the schema says.
  typename InterfaceType::Ref WithDeadline(absl::Duration deadline) const {
    return typename InterfaceType::Ref(With(deadline));
  }

  // The same; its calls carry that, too (call_metadata.h). FAILED beyond the bounds.
  typename InterfaceType::Ref WithMetadata(std::string_view key, std::string_view value) const {
    return typename InterfaceType::Ref(With(key, value));
  }

  // "Account/alice"
  std::string ToString() const { return AnyRef::ToString(InterfaceType::Ref::kName); }
  template <typename Stream>
  requires std::derived_from<Stream, std::ostream>
  friend Stream& operator<<(Stream& out, const RefTo& ref) {
    out << ref.ToString();
    return out;
  }
  friend kj::String KJ_STRINGIFY(const RefTo& ref) { return kj::str(ref.ToString().c_str()); }
};

// What the generated Tell of an interface derives from: see ActorContext::Tell. For the turn that
// made it.
template <typename InterfaceType>
class TellTo : public AnyRef {
 public:
  explicit TellTo(AnyRef to) : AnyRef(std::move(to)) {}
};

}  // namespace troupe

template <typename Ref>
requires std::derived_from<Ref, troupe::AnyRef>
struct std::hash<Ref> {
  size_t operator()(const Ref& ref) const { return troupe::ActorKeyHash(ref.id()); }
};
