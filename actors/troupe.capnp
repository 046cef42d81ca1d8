# Annotations for the schemas of users.
#
#   using Troupe = import "/troupe/actors/troupe.capnp";
#   interface Account {
#     balance @0 () -> (balance :UInt64) $Troupe.readOnly;
#   }

@0xd8a5f9c3b1e04672;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::schema");

annotation readOnly @0xc0f8a7b2d3e41596 (method) :Void;
# The method changes nothing. Calls of such methods may interleave with each other, are answered
# without replication, and leave no record: a retry may run them again.
