@0xf6283e0b9d71c45a;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Callback { done @0 (); }
struct Holder { inner :group { callback @0 :Callback; } }
struct Box(T) { value @0 :T; }

interface Parameterised(T) $Troupe.actor() { get @0 () -> (value :T); }  # error: has type parameters; an actor cannot: write one interface per type
interface Heir extends(Base(Text)) $Troupe.actor() {}  # error: , which this extends, has type parameters; an actor cannot
interface Base(T) { get @0 () -> (value :T); }

interface Methods $Troupe.actor() {
  generic @0 [T] (value :T) -> ();  # error: has type parameters; a method of an actor cannot: write one method per type
  box @1 (box :Box(Text)) -> ();  # error: has a type with parameters; of an actor's method it cannot: write out the struct that is meant
  boxes @2 () -> (all :List(Box(Text)));  # error: `all` has a type with parameters
  watch @3 (on :Callback) -> ();  # error: parameter `on` is a capability of Callback, which is no actor
  subscribe @4 () -> (on :Callback);  # error: which is no actor: only refs of actors can be sent and kept
  hold @5 (holder :Holder) -> ();  # error: holds `callback`, which is a capability of Callback
  give @6 Holder -> Holder;  # error: takes a struct that holds `callback`
  any @7 (any :Capability) -> ();  # error: is a capability of any type: only refs of actors can be sent and kept
  write @8 (bytes :Data) -> stream $Troupe.readOnly;  # error: `write` is a stream and $Troupe.readOnly; it has no results to read. Remove one
  done @9 (bytes :Data) -> stream;  # error: stream `done` would be generated as Done() of a Writer, which is there already
}
