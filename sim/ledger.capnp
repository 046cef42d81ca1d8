# Ledgers: actors whose state is the list of what was done to them, in order.
@0xd2f09c4b7a6e8135;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::sim");
using Troupe = import "/troupe/actors/troupe.capnp";

struct Page {
  # What an answer shows of a ledger.
  length @0 :UInt64;
  hash @1 :UInt64;         # Of all entries, in order.
  doubled @2 :Bool;        # Some entry is there twice.
  open @3 :Bool;           # A turn is under way: nobody may see this.
}

interface Ledger {
  append @0 (entry :UInt64) -> (page :Page);
  read @1 () -> (page :Page) $Troupe.readOnly;
  relay @2 (entry :UInt64, to :Text) -> (page :Page, theirs :Page);
  # Appends here, then there, in one turn.
  linger @3 (entry :UInt64, to :Text) -> (page :Page);
  # Opens, reads there, closes and appends.
  fail @4 (entry :UInt64) -> ();
  # Appends and throws.
}

struct LedgerState {
  entries @0 :List(UInt64);
  open @1 :Bool;
}
