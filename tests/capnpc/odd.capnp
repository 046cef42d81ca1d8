# Names and shapes that are easy to get wrong. That the generated code compiles is the test.
@0x8a95e1c7d3f02b64;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("odd::troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

struct Outer {
  interface Inner $Troupe.actor(state = "State") {
    deposit @0 (deposit :Deposit, state :State) -> (inner :Inner, task :Task);
    struct State { inner @0 :Inner; }
  }
  struct State { wrong @0 :UInt8; }
}

struct Deposit { none @0 :Void; outer @1 :Nested; struct Nested { at @0 :Float32 = -0.5; } }
struct Renamed $Cxx.name("Named") { oldName @0 :Text = "a\"b\n" $Cxx.name("newName"); bytes @1 :Data = 0x"00ff"; }

interface Task $Troupe.actor() {}
interface Left extends(Task) $Troupe.actor() {
  left @0 (call :Text, self :Text, params :Text);
  done @1 (done :Bool) -> (done :Bool);
}
interface Right extends(Task) $Troupe.actor() {
  right @0 (results :List(List(Text)), fill :Renamed) -> (results :List(Renamed), value :Renamed);
  old @1 Renamed -> (renamed :Renamed, other :Renamed) $Cxx.name("fresh");
  least @2 (least :Int64 = -9223372036854775808, big :UInt64 = 18446744073709551615,
            real :Float64 = 1e300, endless :Float64 = inf, void :Void) -> ();
}
interface Bottom extends(Left, Right) $Troupe.actor() { bottom @0 (any :AnyPointer) -> (any :AnyPointer); }
interface Flow extends(Task) $Troupe.actor() {
  send @0 (send :Text) -> stream;
  write @1 Renamed -> stream;
  all @2 (call :List(Renamed), next :Flow) -> stream;
  empty @3 () -> stream;
  struct Stream { writer @0 :UInt8; }
  take @4 Stream -> (stream :Stream);
}
