# Work that takes long, done well and badly.
@0xb7d20f5ae1c6493d;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Digger $Troupe.actor(state = "DiggerState") {
  dig @0 (depth :UInt32) -> (found :UInt64);
  # On another thread.
  digHere @1 (milliseconds :UInt32) -> ();
  # Blocks its loop.
  digLater @2 (milliseconds :UInt32, rest :UInt32) -> ();
  # The same, after a wait and before another one.
  breakSpade @3 () -> ();
  rest @4 (milliseconds :UInt32) -> () $Troupe.readOnly;
}
struct DiggerState {
  depth @0 :UInt64;
}
