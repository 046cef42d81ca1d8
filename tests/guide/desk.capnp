# What docs/guide/failure.md shows of watching: jobs that go to another worker when theirs has ended.
@0x87d2b45fea07276f;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Worker $Troupe.actor() {
  run @0 (job :Text) -> ();
}

interface Desk $Troupe.actor(state = "DeskState") {
  assign @0 (job :Text, to :Worker) -> ();
  follow @1 (node :Text) -> ();
  waiting @2 () -> (jobs :List(Text), nodesGone :UInt64) $Troupe.readOnly;
}

struct DeskState {
  assigned @0 :List(Job);
  waiting @1 :List(Text);
  nodesGone @2 :UInt64;
  struct Job {
    name @0 :Text;
    worker @1 :Worker;
  }
}
