@0xa7d04c9e81f5b362;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Nowhere $Troupe.actor(state = "Missing") {}  # error: Missing, is not a struct of this file
interface Wrong $Troupe.actor(state = "Colour") {}  # error: Colour, is not a struct
enum Colour { red @0; }
interface Generic $Troupe.actor(state = "Box") {}  # error: has type parameters
struct Box(T) { value @0 :T; }

struct Outer {
  # The names of an inner scope go before.
  interface Inner $Troupe.actor(state = "State") {}
  struct State { callback @0 :Callback; }  # error: `callback` of the state State is a capability of Callback
}
interface Deep $Troupe.actor(state = "Outer.Missing") {}  # error: Outer.Missing, is not a struct
interface Callback { done @0 (); }
