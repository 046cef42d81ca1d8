# bank: accounts, and transfers between them that are whole after any kill.

@0xa2c4f6e81b3d5079;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Account $Troupe.actor(state = "AccountState") {
  deposit @0 (amount :UInt64) -> (balance :UInt64);

  transfer @1 (to :Account, amount :UInt64) -> (balance :UInt64);
  # Takes the amount from this account at once. Once this is answered the other one will get it,
  # once, whoever dies. Fails when the balance is too small.

  balance @2 () -> (balance :UInt64) $Troupe.readOnly;
}
struct AccountState { balance @0 :UInt64; }
