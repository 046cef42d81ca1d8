# An actor with children.
@0xb2a9f7df19a61980;

using Troupe = import "/troupe/actors/troupe.capnp";


interface Part $Troupe.actor() {
  add @0 (by :UInt64) -> (value :UInt64);
  # What it has counted is gone with its object.
  fail @1 (text :Text) -> ();
  failAs @2 (type :UInt16) -> ();
  hang @3 () -> ();
  leave @4 () -> ();
  count @5 (key :Text) -> (value :UInt64);
  # Adds one to the counter of that key.
  askSibling @6 (sibling :Part) -> (value :UInt64);
  askParent @7 (key :Text) -> ();
  failLater @8 () -> ();
  # By a timer.
  misuse @9 (what :Text) -> ();
}

interface Nursery $Troupe.actor(state = "NurseryState") {
  add @0 (child :Text, by :UInt64) -> (value :UInt64);
  fail @1 (child :Text, text :Text) -> ();
  failAs @2 (child :Text, type :UInt16) -> ();
  hang @3 (child :Text, ms :UInt64) -> ();
  leave @4 (child :Text) -> ();
  count @5 (child :Text, key :Text) -> (value :UInt64);
  askSibling @6 (child :Text, sibling :Text) -> (value :UInt64);
  askParent @7 (child :Text) -> ();
  failLater @8 (child :Text) -> ();
  stop @9 (child :Text) -> (was :Bool);
  start @10 (child :Text, restart :UInt16) -> ();
  tellChild @11 (child :Text) -> ();
  giveAway @12 (child :Text, to :Nursery) -> ();
  take @13 (part :Part) -> ();
  hangWhile @14 (child :Text, fails :Text) -> (said :Text);
  # One child hangs, then another fails: what the first call is told.
  touch @15 () -> (object :UInt64);
  startMany @16 (count :UInt32) -> ();
  misuse @17 (child :Text, what :Text) -> ();
  callAsOther @18 (child :Text) -> ();
}

struct NurseryState {
  touched @0 :UInt64;
}
