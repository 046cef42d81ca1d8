@0xd2960b7fa3c8e415;
# Accounts as in the bank sample, on disk.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Vault $Troupe.actor(state = "VaultState") $Troupe.durable {
  deposit @0 (amount :UInt64) -> (balance :UInt64);
  transfer @1 (to :Vault, amount :UInt64) -> (balance :UInt64);
  balance @2 () -> (balance :UInt64) $Troupe.readOnly;
  fill @3 (bytes :UInt32) -> ();
  # Makes the state so large.
}

struct VaultState {
  balance @0 :UInt64;
  ballast @1 :Data;
}
