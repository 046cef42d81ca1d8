@0xd04a9c5be72f1386;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Counter $Troupe.actor(state = "CounterState") {
  add @0 (by :UInt64 = 1) -> (value :UInt64);
  value @1 () -> (value :UInt64) $Troupe.readOnly;
}
struct CounterState { value @0 :UInt64; }
