# Actors of docs/guide.
@0xd2b7e5a1c8f40396;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Order $Troupe.actor(state = "OrderState") {
  place @0 (item :Text) -> ();
  cancel @1 () -> ();
  item @2 () -> (item :Text) $Troupe.readOnly;
}

struct OrderState {
  item @0 :Text;
}

interface Meter $Troupe.actor(state = "MeterState") {
  measure @0 (value :UInt64) -> ();
  average @1 () -> (value :UInt64) $Troupe.readOnly;
  close @2 () -> ();
}

struct MeterState {
  sum @0 :UInt64;
  count @1 :UInt64;
}
