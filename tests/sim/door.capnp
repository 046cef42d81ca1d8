@0xd7a05be2914c38f6;
# An actor whose turns end when a test lets them.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");

interface Doorkeeper {
  add @0 (by :UInt64) -> (value :UInt64);
  addLater @1 (by :UInt64) -> (value :UInt64);
}
struct DoorkeeperState { value @0 :UInt64; }
