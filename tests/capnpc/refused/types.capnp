@0xf6283e0b9d71c45a;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Callback { done @0 (); }
struct Holder { inner :group { callback @0 :Callback; } }
struct Box(T) { value @0 :T; }

interface Parameterised(T) $Troupe.actor() { get @0 () -> (value :T); }  # error: interface Parameterised has type parameters
interface Heir extends(Base(Text)) $Troupe.actor() {}  # error: interface Base, which this extends, has type parameters
interface Base(T) { get @0 () -> (value :T); }

interface Methods $Troupe.actor() {
  generic @0 [T] (value :T) -> ();  # error: `generic` has type parameters
  box @1 (box :Box(Text)) -> ();  # error: `box` has a type with parameters
  boxes @2 () -> (all :List(Box(Text)));  # error: `all` has a type with parameters
  watch @3 (on :Callback) -> ();  # error: parameter `on` is a capability of Callback, which is no actor
  subscribe @4 () -> (on :Callback);  # error: result `on` is a capability of Callback
  hold @5 (holder :Holder) -> ();  # error: holds `callback`, which is a capability of Callback
  give @6 Holder -> Holder;  # error: takes a struct that holds `callback`
  any @7 (any :Capability) -> ();  # error: is a capability of any type
  write @8 (bytes :Data) -> stream;  # error: `write` is a stream
}
