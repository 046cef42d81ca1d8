// Registry: the types of actors that a node hosts.
//
// Filled by main() before the node starts, then read by all workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "capnp/schema.h"
#include "kj/memory.h"
#include "troupe/actors/actor.h"

namespace troupe {

struct MethodInfo {
  std::string name;  // "Counter.add"
  bool read_only = false;
};

struct ActorType {
  uint64_t id = 0;
  std::string name;                                             // "Counter"
  std::map<std::pair<uint64_t, uint16_t>, MethodInfo> methods;  // Inherited ones too.
  std::function<kj::Own<ActorBase>()> make;
  std::optional<absl::Duration> idle_timeout;  // As $Troupe.idleTimeout has it.
};

class Registry {
 public:
  template <typename ActorClass>
  void Host() {
    using Interface = typename ActorClass::ActorInterface;
    Host<ActorClass>([] { return kj::heap<ActorClass>(); });
    static_assert(capnp::kind<Interface>() == capnp::Kind::INTERFACE);
  }
  // With a factory, for actors that need something of the program. Called on worker loops.
  template <typename ActorClass>
  void Host(std::function<kj::Own<ActorBase>()> make) {
    Add(capnp::Schema::from<typename ActorClass::ActorInterface>(), std::move(make));
  }

  const ActorType* Find(uint64_t type) const;
  std::vector<std::string> names() const;  // Sorted.

 private:
  void Add(capnp::InterfaceSchema schema, std::function<kj::Own<ActorBase>()> make);
  std::map<uint64_t, ActorType> types_;
};

}  // namespace troupe
