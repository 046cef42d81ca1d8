# An actor that watches others and is watched.
@0x9c1d085ee92dc728;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Guard $Troupe.actor(state = "GuardState") {
  watch @0 (who :List(Guard)) -> ();
  unwatch @1 (who :Guard) -> (was :Bool);
  watchNode @2 (name :Text) -> ();
  unwatchNode @3 (name :Text) -> (was :Bool);
  watchAndFail @4 (who :Guard) -> ();
  erase @5 () -> ();
  eraseAndFail @6 () -> ();
  fail @7 () -> ();
  failByItself @8 () -> ();
  # A timer of it throws, at once.
  peek @9 (who :Guard) -> () $Troupe.readOnly;
  # Tries to watch.
  notices @10 () -> (state :GuardState) $Troupe.readOnly;
  watchAndLeave @11 (who :Guard) -> ();
  say @12 (who :Guard, times :UInt32) -> ();
  hold @13 () -> ();
  # Refused for now, while the test says so.
}

struct GuardState {
  notices @0 :List(Text);  # "erased x: text"
}
