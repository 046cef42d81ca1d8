# Actors for the tests of whole clusters.
@0xf0b3d5a7918c2e46;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Counter {
  add @0 (by :UInt64) -> (value :UInt64);
  get @1 () -> (value :UInt64) $Troupe.readOnly;
  fail @2 (text :Text) -> ();
  # Changes the value, then throws.
  addTo @3 (other :Text, by :UInt64) -> (value :UInt64, others :UInt64);
  # Adds here and, by a call, at another counter.
  wait @4 (milliseconds :UInt64) -> ();
  # Holds its turn for so long.
  never @5 () -> ();
  big @6 (bytes :UInt64) -> (data :Data);
  grow @7 (bytes :UInt64) -> ();
  # Makes the state so large.
  askItself @8 () -> (value :UInt64);
  # A call to itself from within its turn.
}

struct CounterState { value @0 :UInt64; ballast @1 :Data; }
