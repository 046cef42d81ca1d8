@0xd6b3e9074f1c82a5;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Counter $Troupe.actor(state = "CounterState") {
  add @0 (by :UInt64 = 1) -> (value :UInt64);
  value @1 () -> (value :UInt64) $Troupe.readOnly;
}
struct CounterState { value @0 :UInt64; }
