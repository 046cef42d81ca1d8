# What the workload of the simulator calls.
@0xc3b1a68e5d7f2094;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::sim");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Cell {
  add @0 (by :UInt64) -> (value :UInt64);
  get @1 () -> (value :UInt64) $Troupe.readOnly;
  write @2 (value :UInt64) -> ();
  addTo @3 (other :Text, by :UInt64) -> (value :UInt64);
  # Adds here and, by a call, at another one.
}

struct CellState { value @0 :UInt64; }
