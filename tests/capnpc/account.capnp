# The account of the manual: no namespace, one actor.
@0xc4f81d7a930e25b6;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Account $Troupe.actor(state = "AccountState") {
  deposit  @0 (amount :UInt64) -> (balance :UInt64);
  # Adds to the balance.

  balance  @1 () -> (balance :UInt64) $Troupe.readOnly;
}

struct AccountState { balance @0 :UInt64; }
