@0x9b5ed7f10a36c28f;
using Troupe = import "/troupe/actors/troupe.capnp";
using Cxx = import "/capnp/c++.capnp";

interface Taken $Troupe.actor() {
  save @0 () -> ();  # error: method `save` would be generated as Save(), which is there already
  withDeadline @1 () -> ();  # error: as WithDeadline()
  load @2 () -> () $Cxx.name("loadAll");
  two @3 (userId :Text, userID :Text) -> ();  # error: would both be `user_id`
  fill @4 (all :List(Text)) -> ();
  fillWith @5 () -> ();  # error: method `fillWith` would be generated as FillWith(), which method `fill` is too
  struct Ref {}  # error: Ref is a name of what is generated in Taken
  several @6 () -> (a :Text, b :Text);
  struct SeveralReply {}  # error: SeveralReply is a name of what is generated
}

interface TakenToo $Troupe.actor() {
  withMetadata @0 () -> ();  # error: as WithMetadata()
  onActivate @1 () -> ();  # error: as OnActivate()
  onReminder @2 (name :Text) -> ();  # error: as OnReminder()
}

interface A $Troupe.actor() { close @0 () -> (); }
interface B extends(A) $Troupe.actor() {
  close @0 () -> ();  # error: Close(), which method `close` is too
}
