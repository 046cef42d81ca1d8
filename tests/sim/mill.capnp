@0x9b1c6f4e07d3a852;
# Mills that anybody may use, and who uses them.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Mill $Troupe.actor() {
  grind @0 (grain :UInt64, milliseconds :UInt32) -> (flour :UInt64);
  # Twice the grain, after that time.

  lend @1 (counter :Text, by :UInt64) -> (value :UInt64);
  # Adds to a counter.

  misuse @2 (how :Text) -> ();
  # Asks for what a pool does not have; or fails, how = "fail".

  callBack @3 (miller :Text) -> (ground :UInt64);
}

interface Miller $Troupe.actor(state = "MillerState") {
  work @0 (grains :UInt32) -> (ground :UInt64);
  ask @1 () -> (ground :UInt64);
  # Has a mill call back, which cannot be.
}

struct MillerState {
  ground @0 :UInt64;
}
