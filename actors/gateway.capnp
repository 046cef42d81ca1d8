# What any Cap'n Proto client, in any language, finds at a node's port: the bootstrap capability.
#
# Standard RPC over TCP: connect, ask for the bootstrap, cast it to Node. Calls go to the actor
# wherever it lives and are retried by the node while the connection lasts; a client that loses its
# connection and asks again elsewhere makes a new call.

@0x9d1cb6f0e2a74835;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::gateway");

interface Node {
  actor @0 (type :UInt64, key :Data) -> (actor :Capability);
  # The actor as an ordinary capability of its interface, whose id is `type`. Never waits. A type
  # that the cluster does not know is refused.

  types @1 () -> (names :List(Text));
  # Which actor types the nodes of the cluster host; this one need not.
}
