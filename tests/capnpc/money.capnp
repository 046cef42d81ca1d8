# A value that other files use.
@0xd17c9e4ab2f06835;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("kinds");
using Troupe = import "/troupe/actors/troupe.capnp";

struct Money $Troupe.value {
  # An amount in a currency.
  units @0 :Int64;
  currency @1 :Text = "EUR";
}

struct Ledger {  # Without the annotation: read where it lies.
  lines @0 :UInt32;
}

interface Named $Troupe.actor() {
  # What has a name.
  name @0 () -> (name :Text) $Troupe.readOnly;
}
