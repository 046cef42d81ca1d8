# An actor that does what it is not to do, for the tests of what is said then.
@0xb7a3d915e2c8406f;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Blunder $Troupe.actor(state = "BlunderState") {
  commit @0 (what :Text) -> (bytes :Data);
  look @1 (what :Text) -> () $Troupe.readOnly;
  take @2 (bytes :Data) -> ();
}
struct BlunderState { bytes @0 :Data; }

interface Other $Troupe.actor() { ask @0 () -> (); }
