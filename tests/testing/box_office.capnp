# What docs/guide/testing.md tests: seats are sold or held, and buyers get mail.
@0xe1c47d05b3a98f26;

using Troupe = import "/troupe/actors/troupe.capnp";

interface BoxOffice $Troupe.actor(state = "BoxOfficeState") {
  open @0 (seats :UInt32) -> ();
  sell @1 (seats :UInt32, to :Text) -> (left :UInt32);
  # The buyer gets mail.
  hold @2 (seats :UInt32) -> ();
  # For 15 minutes, then they are free again.
  left @3 () -> (seats :UInt32) $Troupe.readOnly;
}
struct BoxOfficeState {
  free @0 :UInt32;
  held @1 :UInt32;
}

interface Mailer $Troupe.actor() {
  send @0 (to :Text, text :Text) -> (number :UInt64);
}
