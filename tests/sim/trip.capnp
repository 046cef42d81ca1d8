@0xe1a94c07d35b28f6;
# Trips that are booked at several purses of seats, or at none.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";
using Saga = import "/troupe/actors/saga.capnp";

interface Trip $Troupe.actor(state = "TripState") {
  book @0 (stages :List(Text), stuck :Text) -> ();
  # One seat of each; `stuck`: where undoing fails.

  look @1 () -> (open :Bool, done :Bool, failedStep :UInt32, error :Text, trouble :List(Text)) $Troupe.readOnly;
}

struct TripState {
  number @0 :UInt64;  # Of trips so far.
  open @1 :Bool;
  done @2 :Bool;
  stages @3 :List(Text);
  stuck @4 :Text;
  progress @5 :Saga.SagaProgress;
}
