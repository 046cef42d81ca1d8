# An actor for the tests of what time, failure and idleness do to actors.
@0x8f5a1d3c7e9b2046;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Clerk $Troupe.actor(state = "ClerkState") {
  add @0 (by :UInt64) -> (value :UInt64);
  look @1 () -> (state :ClerkState, ticks :UInt64, object :UInt64) $Troupe.readOnly;
  # `ticks`: of the timers of this very object, whose number is `object`.
  remind @2 (name :Text, afterMs :UInt64, everyMs :UInt64, catchUp :UInt16) -> ();
  forget @3 (name :Text) -> (known :Bool);
  tick @4 (everyMs :UInt64, keepsActive :Bool, holdMs :UInt64) -> ();
  # Starts a timer whose turns take `holdMs`; each ends the one before.
  stopTicking @5 () -> ();
  deactivate @6 (by :UInt64) -> ();
  # Adds, too.
  erase @7 () -> ();
  fail @8 (by :UInt64) -> ();
  # Adds, then throws.
  addLater @9 (by :UInt64, afterMs :UInt64) -> (value :UInt64);
  dream @10 () -> () $Troupe.readOnly;
  # For ever.
  doze @11 (by :UInt64) -> ();
  # Adds, then sleeps for a year.
}

struct ClerkState {
  value @0 :UInt64;
  ticked @1 :UInt64;
  served @2 :List(Served);
  missed @3 :UInt64;

  struct Served {
    name @0 :Text;
    due @1 :Int64;   # Milliseconds since 1970.
  }
}
