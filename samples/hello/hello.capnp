@0xe7f3a1c95b2d8046;

using Troupe = import "/troupe/actors/troupe.capnp";
interface Greeter $Troupe.actor(state = "GreeterState") {
  greet @0 (name :Text) -> (greeting :Text, times :UInt64);
}
struct GreeterState { times @0 :UInt64; }
