@0xe8d41c07b2f6395a;
# Accounts that tell each other what they pay.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Giro $Troupe.actor(state = "GiroState") {
  pay @0 (to :List(Text), amount :UInt64) -> (payments :UInt64);
  # Tells each of them to receive it, and counts it as paid.

  receive @1 (from :Text, number :UInt64, amount :UInt64) -> ();
  # `number` rises by one with each payment from one payer to this payee.

  payAndFail @2 (to :Text) -> ();
  payAndLeave @3 (to :Text, erase :Bool) -> ();

  look @4 () -> (balance :Int64, paid :UInt64, outOfOrder :UInt64) $Troupe.readOnly;

  walk @5 () -> (steps :UInt64);
  # Two steps, the first of which is persisted. In between it does what the office says.

  walkOn @6 () -> (steps :UInt64, interrupted :Bool) $Troupe.resumable;
  # The same, going on where it was interrupted.

  peek @7 () -> () $Troupe.readOnly;
  # Asks for what a read cannot have.
}

struct GiroState {
  balance @0 :Int64;
  paid @1 :UInt64;
  outOfOrder @2 :UInt64;
  steps @3 :UInt64;
  payees @4 :List(Numbered);
  payers @5 :List(Numbered);

  struct Numbered {
    name @0 :Text;
    number @1 :UInt64;
  }
}
