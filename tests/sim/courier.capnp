# Accounts whose transfers are brought by Resume().

@0xcf12b8a65d70e394;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Courier $Troupe.actor(state = "CourierState") {
  deposit @0 (amount :UInt64) -> (balance :UInt64);

  transfer @1 (to :Courier, amount :UInt64) -> (balance :UInt64);
  # Takes the amount from this account at once and promises to bring it to the other one. Once this
  # is answered the transfer will be whole, whoever dies. Fails when the balance is too small.

  balance @2 () -> (balance :UInt64, pending :UInt64) $Troupe.readOnly;
  # `pending`: amounts that have left this account and not yet arrived at another.
}

struct CourierState {
  balance @0 :UInt64;
  pending @1 :List(Transfer);
  nextTransfer @2 :UInt64;

  struct Transfer {
    number @0 :UInt64;  # Of this payer; names the call that brings it to the payee.
    to @1 :Courier;
    amount @2 :UInt64;
  }
}
