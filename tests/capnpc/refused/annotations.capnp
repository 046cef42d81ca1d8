@0xe19f3b7d25c0a864;
using Troupe = import "/troupe/actors/troupe.capnp";

interface Twice  # error:  times for `Twice`
    $Troupe.actor(state = "A") $Troupe.actor(state = "B") {
  get @0 () -> () $Troupe.readOnly $Troupe.readOnly;  # error: $Troupe.readOnly is given 2 times
}
struct A {}
struct B {}

interface Plain {
  get @0 () -> () $Troupe.readOnly;  # error: is no actor, nor does one extend it. Add $Troupe.actor
  back @2 () -> () $Troupe.reentrant;  # error: $Troupe.reentrant of `back`: interface Plain is no actor
  slow @1 () -> () $Troupe.deadline(milliseconds = 5);  # error: $Troupe.deadline of `slow`: interface Plain
}
interface Idle $Troupe.idleTimeout(milliseconds = 5) {}  # error: , which is no actor: add $Troupe.actor

interface Times $Troupe.actor() $Troupe.idleTimeout(milliseconds = 0) {  # error: $Troupe.idleTimeout of `Times` is zero
  none @0 () -> () $Troupe.deadline(milliseconds = 0);  # error: zero; write $Troupe.deadline(milliseconds = 5000)
  long @1 () -> () $Troupe.deadline(milliseconds = 300001);  # error: 300001 ms; at most 300000 ms, 5 minutes, are possible
  most @2 () -> () $Troupe.deadline(milliseconds = 300000);
  both @3 () -> () $Troupe.readOnly $Troupe.resumable;  # error: a $Troupe.readOnly method keeps nothing to go on with. Remove one
}

interface OnDisk $Troupe.durable {}  # error: $Troupe.durable of OnDisk, which is no actor: add $Troupe.actor

interface Later $Troupe.actor() $Troupe.durable {  # error: , whose actors keep nothing: name their state with $Troupe.actor(state = ...), or remove it
  again @0 () -> () $Troupe.reentrant;
}

struct Many $Troupe.value { all @0 :List(Text); }  # error: a value has no lists, unions, groups, type parameters
