// Registry: the types of actors that a node hosts.
//
// Filled by main() before the node starts, then read by all workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "capnp/schema.h"
#include "kj/memory.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/actor_options.h"
#include "troupe/actors/interceptor.h"

namespace troupe {

struct MethodInfo {
  std::string name;  // "Counter.add"
  bool read_only = false;
  bool resumable = false;
  bool reentrant = false;
};

struct ActorType {
  uint64_t id = 0;
  std::string name;                                             // "Counter"
  std::map<std::pair<uint64_t, uint16_t>, MethodInfo> methods;  // Inherited ones too.
  std::function<kj::Own<ActorBase>()> make;
  ActorTypeOptions options;
  absl::Duration idle_timeout = kIdleTimeoutDefault;  // Of the options, the schema, or neither.
  bool has_state = true;                              // Its class has a Save().
  bool durable = false;                               // $Troupe.durable
  // Whether the class overrides OnActivate() and OnDeactivate(): no turn is made of what is empty.
  bool activates = true;
  bool deactivates = true;
  std::shared_ptr<const Interceptors> interceptors;  // Of the program; never null.
};

// False only when `ActorClass` surely has the base's empty one; a private override is one too.
template <typename ActorClass>
concept HasOwnOnActivate = !requires {
  requires std::is_same_v<decltype(&ActorClass::OnActivate), decltype(&ActorBase::OnActivate)>;
};
template <typename ActorClass>
concept HasOwnOnDeactivate = !requires {
  requires std::is_same_v<decltype(&ActorClass::OnDeactivate), decltype(&ActorBase::OnDeactivate)>;
};

class Registry {
 public:
  template <typename ActorClass>
  void Host(ActorTypeOptions options = {}) {
    static_assert(std::is_base_of_v<ActorBase, ActorClass>,
                  "Host<A>() takes the class that you derive from Counter::Actor, not Counter");
    static_assert(std::is_abstract_v<ActorClass> || std::is_default_constructible_v<ActorClass>,
                  "an actor whose constructor takes something needs a factory: "
                  "Host<A>([] { return kj::heap<A>(...); })");
    using Interface = typename ActorClass::ActorInterface;
    Host<ActorClass>([] { return kj::heap<ActorClass>(); }, options);
    static_assert(capnp::kind<Interface>() == capnp::Kind::INTERFACE);
  }
  // With a factory, for actors that need something of the program. Called on worker loops.
  template <typename ActorClass>
  void Host(std::function<kj::Own<ActorBase>()> make, ActorTypeOptions options = {}) {
    ActorType type;
    type.make = std::move(make);
    type.options = options;
    using Interface = typename ActorClass::ActorInterface;
    type.has_state = !std::is_base_of_v<Actor<Interface, void>, ActorClass>;
    type.activates = HasOwnOnActivate<ActorClass>;
    type.deactivates = HasOwnOnDeactivate<ActorClass>;
    Add(capnp::Schema::from<typename ActorClass::ActorInterface>(), std::move(type));
  }

  // Of the calls of all types, also of those that are hosted later. `place`: among the others.
  enum class Place : uint8_t { kInnermost, kOutermost };
  void Intercept(std::shared_ptr<Interceptor> interceptor, Place place = Place::kInnermost);

  // The types of these roles only; of none: all.
  Registry OfRoles(const std::vector<std::string>& roles) const;
  // The same types, those with state as if they were $Troupe.durable. For tests.
  Registry OnDisk() const;

  const ActorType* Find(uint64_t type) const;
  const ActorType* FindDurable() const;  // Any one that is; null: none is.
  std::set<std::string> roles() const;   // Of its types.
  const std::map<uint64_t, ActorType>& types() const { return types_; }

 private:
  void Add(capnp::InterfaceSchema schema, ActorType type);
  std::map<uint64_t, ActorType> types_;
  std::shared_ptr<Interceptors> interceptors_ = std::make_shared<Interceptors>();
};

}  // namespace troupe
