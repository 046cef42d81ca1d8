@0x9c3e5f17a2d84b60;
# Purses whose money moves in transactions.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Purse $Troupe.actor(state = "PurseState") {
  deposit @0 (amount :Int64) -> (balance :Int64);
  withdraw @1 (amount :Int64) -> (balance :Int64);
  # FAILED when there is less.

  look @2 () -> (balance :Int64, deposits :UInt64, rings :UInt64, resumed :UInt64) $Troupe.readOnly;

  move @3 (from :Text, to :Text, amount :Int64) -> (moves :UInt64);
  # Begins a transaction of two other purses, and counts it.

  pass @4 (to :Text, amount :Int64) -> ();
  # Withdraws it, and tells the other one to deposit it.

  try @5 (what :Text) -> ();
  # Something that a call in a transaction may or may not do.

  fill @6 (bytes :UInt32) -> ();
  # How much there is to save.
}

struct PurseState {
  balance @0 :Int64;
  deposits @1 :UInt64;
  moves @2 :UInt64;
  rings @3 :UInt64;
  resumed @4 :UInt64;
  filling @5 :Data;
}
