# bank: accounts, and transfers between them that are whole after any kill.

@0xa2c4f6e81b3d5079;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Account $Troupe.actor(state = "AccountState") {
  deposit @0 (amount :UInt64) -> (balance :UInt64);

  transfer @1 (to :Account, amount :UInt64) -> (balance :UInt64);
  # Takes the amount from this account at once and promises to bring it to the other one. Once this
  # is answered the transfer will be whole, whoever dies. Fails when the balance is too small.

  balance @2 () -> (balance :UInt64, pending :UInt64) $Troupe.readOnly;
  # `pending`: amounts that have left this account and not yet arrived at another.
}

struct AccountState {
  balance @0 :UInt64;
  pending @1 :List(Transfer);
  nextTransfer @2 :UInt64;

  struct Transfer {
    number @0 :UInt64;  # Of this payer; names the call that brings it to the payee.
    to @1 :Account;
    amount @2 :UInt64;
  }
}
