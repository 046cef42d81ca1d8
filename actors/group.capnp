# Groups: actors that are known by a common name. See docs/guide/groups.md; troupe/actors/group.h has
# what programs call.

@0xb60d1a94c7f3e825;

using Cxx = import "/capnp/c++.capnp";
using Troupe = import "/troupe/actors/troupe.capnp";
$Cxx.namespace("troupe::schema");

interface Group {
  # The actor. Its key is as that of a topic (topic.capnp).

  join @0 (member :Troupe.ActorRef) -> (joined :Bool, refused :Text);
  # `joined`: it was none. `refused`: why not.

  leave @1 (member :Troupe.ActorRef) -> (left :Bool);
  # `left`: it was one.

  members @2 () -> (members :List(Troupe.ActorRef)) $Troupe.readOnly;
  # In the order in which they joined.
}

struct GroupState {
  members @0 :List(Troupe.ActorRef);
}
