# savings: accounts that outlive the end of all nodes at once.

@0xc5e19f03b7a4d268;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Savings $Troupe.actor(state = "SavingsState") $Troupe.durable {
  deposit @0 (amount :UInt64) -> (balance :UInt64);
  withdraw @1 (amount :UInt64) -> (balance :UInt64);
  # Fails when the balance is too small.

  balance @2 () -> (balance :UInt64) $Troupe.readOnly;
}
struct SavingsState { balance @0 :UInt64; }
