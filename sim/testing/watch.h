// Watch: what a harness knows of the actors on its nodes and does to them. All WatchedActors of a
// harness share it.
//
// Single-threaded, as the simulation is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "capnp/schema.h"
#include "kj/async.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/registry.h"
#include "troupe/testing/call_faults.h"
#include "troupe/testing/fake_actor.h"
#include "troupe/testing/turn_log.h"

namespace troupe::testing {

// Whether an object is made anew from what Save wrote, so that what Save forgets is gone at once.
enum class Renewal : uint8_t {
  kAfterEachTurn,   // That may change something and succeeds; while no timer of the object runs.
  kAsInProduction,  // When it is idle, when a turn has failed, when its node dies.
};

// Throws for a method that there is not, telling those that there are.
void RequireMethod(capnp::InterfaceSchema schema, const std::string& actor,
                   std::string_view method);

class WatchedActor;

struct Watch {
  struct Type {
    std::string name;  // "Counter"
    capnp::InterfaceSchema schema;
    std::optional<capnp::StructSchema> state;
    std::function<kj::Own<ActorBase>()> make;  // Empty: only stand-ins are hosted.
  };
  // What stands in for one actor: the test's object, or a fake.
  struct StandIn {
    ActorBase* object = nullptr;
    std::unique_ptr<FakeActor> fake;
  };

  Watch(const Registry& registry, Renewal renewal) : registry(registry), renewal(renewal) {}
  // "Counter/visits"
  std::string NameOf(const ActorId& actor) const;
  // The words, with names for the ids of types, and with what would be right.
  std::string Readable(const kj::Exception& exception) const;

  const Registry& registry;
  const Renewal renewal;
  std::map<uint64_t, Type> types;
  std::map<ActorId, StandIn> stand_ins;
  std::set<WatchedActor*> objects;  // Those that live.
  std::set<ActorId> failed;         // Had a failure that no caller was told of: not renewed, as
                                    // that would be forgotten with the object.
  std::set<ActorId> reported;       // For what Load does not take on.
  TurnLog log;
  CallFaults faults;

  // ---- By the harness
  std::function<absl::Time()> now;
  std::function<void(absl::Duration, kj::Function<void()>)> after;  // Between the runs of time.
  std::function<void(const ActorId&)> cut_callers;
  std::function<void(const ActorId&)> kill_node;
  std::function<void(const std::string&)> report;  // A failure of the test.
};

}  // namespace troupe::testing
