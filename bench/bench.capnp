# What the benchmarks call.

@0xb7c2f4a95d0e8163;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Echo {
  echo @0 (data :Data) -> (data :Data) $Troupe.readOnly;
  record @1 (data :Data) -> (data :Data);  # The same, as a call that changes the actor.
}

struct EchoState { calls @0 :UInt64; }

interface Counter {
  add @0 (by :UInt64 = 1) -> (value :UInt64);
  value @1 () -> (value :UInt64) $Troupe.readOnly;
}

struct CounterState { value @0 :UInt64; }

interface Sleeper {
  touch @0 () -> ();
  remindMe @1 () -> ();
}

struct SleeperState { touched @0 :UInt64; }
