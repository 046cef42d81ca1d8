@0xe19f3b7d25c0a864;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Twice  # error: $Troupe.actor is given 2 times for `Twice`
    $Troupe.actor(state = "A") $Troupe.actor(state = "B") {
  get @0 () -> () $Troupe.readOnly $Troupe.readOnly;  # error: $Troupe.readOnly is given 2 times
}
struct A {}
struct B {}

interface Plain {
  get @0 () -> () $Troupe.readOnly;  # error: interface Plain is no actor
  slow @1 () -> () $Troupe.deadline(milliseconds = 5);  # error: $Troupe.deadline of `slow`: interface Plain
}
interface Idle $Troupe.idleTimeout(milliseconds = 5) {}  # error: which is no actor

interface Times $Troupe.actor() $Troupe.idleTimeout(milliseconds = 0) {  # error: $Troupe.idleTimeout of `Times` is zero
  none @0 () -> () $Troupe.deadline(milliseconds = 0);  # error: $Troupe.deadline of `none` is zero
  long @1 () -> () $Troupe.deadline(milliseconds = 300001);  # error: at most 300000 ms
  most @2 () -> () $Troupe.deadline(milliseconds = 300000);
  both @3 () -> () $Troupe.readOnly $Troupe.resumable;  # error: $Troupe.resumable of `both`: a $Troupe.readOnly method
}

interface Later $Troupe.actor() $Troupe.durable {  # error: $Troupe.durable of Later is not supported yet
  again @0 () -> () $Troupe.reentrant;  # error: $Troupe.reentrant of `again` is not supported yet
}

struct Many $Troupe.value { all @0 :List(Text); }  # error: $Troupe.value of Many
