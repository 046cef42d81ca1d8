@0xc3b7a95f2d18e640;
# Desks that ask each other back.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Desk $Troupe.actor(state = "DeskState") {
  tour @0 (way :List(Text), how :Text) -> (tours :UInt64, marks :UInt64) $Troupe.resumable;
  # Counts half a tour, has the desks of the way pass it on, the last of which marks this one, and then
  # counts the other half.

  pass @1 (way :List(Text), back :Text, how :Text) -> (seen :Int64);
  # To the next of the way, or else back: what mark() or the error there gives.

  mark @2 (how :Text) -> (seen :Int64) $Troupe.reentrant;
  # "": counts a mark; gives how many half tours it sees. "fail", "mark and fail", "look", "tell",
  # "again": as its name says. "wait": when the desk's office lets it.

  look @3 () -> (halves :UInt64, tours :UInt64, marks :UInt64, told :UInt64) $Troupe.readOnly;
  seen @4 () -> (halves :UInt64) $Troupe.readOnly $Troupe.reentrant;
  told @5 () -> ();
  beside @6 (name :Text) -> (key :Text) $Troupe.readOnly;
}

struct DeskState {
  halves @0 :UInt64;
  tours @1 :UInt64;
  marks @2 :UInt64;
  told @3 :UInt64;
}
