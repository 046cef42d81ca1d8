# Diaries: actors that come and go, are erased and fail, and have themselves reminded.
@0xb6e1d80c3f5a7942;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::sim");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Diary {
  add @0 (by :UInt64, parting :Bool, client :Text, order :UInt64) -> (value :UInt64, wrong :Text);
  # `parting`: and asks to go. `order` rises with each such call of that client.
  look @1 () -> (value :UInt64, wrong :Text) $Troupe.readOnly;
  # `wrong`: what it has seen of itself that must not be; empty: nothing.
  erase @2 () -> ();
  fail @3 (by :UInt64) -> ();
  # Adds and throws.
  ring @4 (diary :Text, due :Int64) -> ();
  # At the tower, by a diary that serves that due time.
  tell @5 () -> (state :DiaryState) $Troupe.readOnly;
}

struct DiaryState {
  value @0 :UInt64;
  served @1 :List(Int64);  # Due times, in nanoseconds since 1970.
  rung @2 :List(Ring);     # The tower's.
  ticked @3 :UInt64;
  parted @4 :UInt64;
  wrong @5 :Text;
  orders @6 :List(Order);  # The newest of each client.

  struct Order {
    client @0 :Text;
    order @1 :UInt64;
  }

  struct Ring {
    diary @0 :Text;
    due @1 :Int64;
  }
}
