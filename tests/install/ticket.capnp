# A user's schema.
@0xbe2d91f4c7a05683;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shop");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Counter $Troupe.actor(state = "CounterState") {
  draw @0 () -> (number :UInt64);
  # Gives the next number.
}

struct CounterState { last @0 :UInt64; }
