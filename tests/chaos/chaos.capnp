# chaos: the actors whose histories are judged.

@0xd1f3a58b6c207e94;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Cell {
  read @0 () -> (value :Text) $Troupe.readOnly;
  write @1 (value :Text) -> ();
  cas @2 (expected :Text, value :Text) -> (done :Bool);
  # Writes `value` if the cell holds `expected`.
}

struct CellState { value @0 :Text; }

interface Tally {
  add @0 (by :Int64) -> (value :Int64);
  get @1 () -> (value :Int64) $Troupe.readOnly;
  keep @2 (data :Data) -> ();
  # Makes `data` part of the state.
  ballast @3 (bytes :UInt64) -> (data :Data) $Troupe.readOnly;
  # An answer of that size.
  work @4 (microseconds :UInt64) -> (value :Int64);
  # Adds 1, and keeps the processor for so long.
}

struct TallyState { value @0 :Int64; data @1 :Data; }
