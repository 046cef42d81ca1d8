# An actor that passes calls on in all the ways there are.
@0xfc59fcd414b7b1f7;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Hand $Troupe.actor() {
  touch @0 (key :Text) -> ();
  # Adds one to the relay of that key.
}

interface Relay $Troupe.actor(state = "RelayState") {
  add @0 (by :UInt64) -> (value :UInt64);
  pass @1 (to :Text) -> ();
  inform @2 (to :Text) -> ();
  passInRead @3 (to :Text) -> () $Troupe.readOnly;
  byPool @4 (to :Text) -> ();
  byChild @5 (to :Text) -> ();
  later @6 (to :Text) -> ();
  # By a timer.
  fail @7 () -> ();
  value @8 () -> (value :UInt64) $Troupe.readOnly;
  addLater @9 (ms :UInt64) -> (value :UInt64);
  passWith @10 (to :Text, key :Text, value :Text) -> ();
}

struct RelayState {
  value @0 :UInt64;
}
