# Annotations for the schemas of users, and how a ref is written down.
#
#   using Troupe = import "/troupe/actors/troupe.capnp";
#
#   interface Account $Troupe.actor(state = "AccountState") {
#     deposit @0 (amount :UInt64) -> (balance :UInt64);
#     balance @1 () -> (balance :UInt64) $Troupe.readOnly;
#   }
#   struct AccountState { balance @0 :UInt64; }
#
# capnpc-troupe, which the CMake function troupe_schema() runs, reads all of them and refuses those
# that are used wrongly. A node reads readOnly, idleTimeout and what it must refuse from the schema
# that is compiled into the program, whoever generated the code.

@0xd8a5f9c3b1e04672;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::schema");

annotation actor @0xe2b7c04d9f5a3168 (interface) :ActorOptions;
# Generates Account::Actor, to derive an actor from, and Account::Ref, to call one.

struct ActorOptions {
  state @0 :Text;
  # The struct that the actor's state is saved as, by the name that it has where the interface stands.
  # Without one, `$Troupe.actor()`, an actor keeps nothing from one activation to the next.
}

annotation readOnly @0xc0f8a7b2d3e41596 (method) :Void;
# The method changes nothing. Calls of such methods may interleave with each other, are answered
# without replication, and leave no record: a retry may run them again.

annotation resumable @0xd4b1907c6ae3f582 (method) :Void;
# A call of the method that was cut short after it had called Persisted() runs again, from its
# beginning, when it is retried: it finds what it kept in the state, and ActorContext::Interrupted()
# true. Without this the retry is told that it was interrupted.

annotation deadline @0x97d3f1a86c2e4b05 (method) :Duration;
# How long a call of the method may take, from the moment that it is made, unless its caller says
# otherwise; at most 5 minutes. Of generated refs: who calls by a plain Cap'n Proto client has 30 s.

annotation idleTimeout @0x8f61d2c95be7a340 (interface) :Duration;
# An actor that nobody has called for so long leaves memory until it is called again; its state stays.
# ActorTypeOptions::idle_timeout, given where the type is hosted, goes before it.

struct Duration {
  milliseconds @0 :UInt32;
}

annotation value @0xb5c91e70d84f2a36 (struct) :Void;
# Generates Money::Value, a plain C++ struct, whatever its size and whether or not an actor of this
# file uses it; and lets the actors of other files use it as that.

annotation reentrant @0xa41f86d3c7095be2 (method) :Void;
# A call of the method that comes back to an actor whose own turn waits for it, by whatever way, runs
# within that turn. Without this it is a call cycle, and fails. See docs/guide/calls.md.

annotation durable @0xf30a7bd1524e9c68 (interface) :Void;
# The state is kept on the disks of the nodes that have its copies: a call is answered once each of
# them has written what it changed, and it survives the end of all nodes at once. Without this, copies
# are in memory: what survives is the end of all but one of them. See docs/guide/durable.md. Nodes
# that host the type need a data directory (--data-dir). A type stays one or the other for as long as
# a cluster lives.

struct ActorRef {
  # A ref, where a message must say whom it means without being one: AnyRef::Write() and
  # Get<Account>(ActorRef::Reader). The field type :Account does the same by itself.

  type @0 :UInt64;  # Id of the actor's interface; 0: nobody.
  key @1 :Data;
}
