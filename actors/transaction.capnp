# What a transaction over several actors says to its participants (docs/protocol.md P6.15).
#
# Calls of interface 0 (call.capnp, CallFrame); each struct below is the parameters, or the results, of
# one of its methods. An older node answers them UNIMPLEMENTED, and nothing runs.

@0xd0b95a2c7e814f36;

using Cxx = import "/capnp/c++.capnp";
using Call = import "/troupe/actors/call.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
$Cxx.namespace("troupe::wire");

struct Grant {
  # Names one hold of an actor, in its whole life: the lineage of its shard and the number of the turn
  # that took the hold. Turn 0: none.
  lineage @0 :UInt64;
  turn @1 :UInt64;
}

struct TransactedCall {
  # Method 16, from whoever began the transaction: a call that is part of it. The receiver runs it as
  # a turn that changes something, and stays held by the transaction until it is told the outcome.

  id @0 :Wire.Id128;     # Of the transaction: of one attempt at it.
  age @1 :Int64;         # When the first attempt began, in nanoseconds since 1970. Decides who waits
                         # for whom, and nothing else.
  limitMs @2 :UInt32;    # For how long it may hold an actor. At most 60,000.
  first @3 :Call.ActorName;  # The participant whose commit decides; of the first call its own name.
  grant @4 :Grant;       # Under which the receiver has answered before, if the caller knows. One that
                         # does not hold under it any more answers `gone`.
  interface @5 :UInt64;
  method @6 :UInt16;
  params @7 :Data;       # A whole message.
}

struct TransactedAnswer {
  # Recorded as the answer of its call, so that it is the same for a call that comes again.
  union {
    done :group {
      # The turn has run. The state that it left, and the one to go back to, are on all in-sync copies.
      grant @0 :Grant;
      union {
        results @1 :Data;
        failure @2 :Wire.Failure;  # The method's own error: that turn has changed nothing.
      }
    }
    conflict @3 :Text;   # An older transaction holds the actor; this says which. Nothing ran.
    gone @4 :Text;       # The hold that the call goes by has ended; this says of whom. Nothing ran.
  }
}

struct Participant {
  actor @0 :Call.ActorName;
  grant @1 :Grant;
}

struct CommitRequest {
  # Method 17, to the first participant, once all calls are answered. It decides: if it still holds
  # under this id and grant, one change of it makes its tentative state the state, and puts a Finish
  # for each of the others into its outbox.
  id @0 :Wire.Id128;
  grant @1 :Grant;
  others @2 :List(Participant);  # At most 63.
}

struct CommitReply {
  # Recorded.
  committed @0 :Bool;
  trouble @1 :Text;      # Why not.
}

struct HoldName {
  # Method 18, Release, from whoever began it: the attempt is given up, go back. The grant is not set.
  # Sent only by who has not asked for the commit. No results.
  #
  # Method 19, Finish, told by the first participant: committed. No results.
  #
  # Method 20, Ask, of another participant whose time is up: answered by Decision.
  id @0 :Wire.Id128;
  grant @1 :Grant;
}

struct Decision {
  # By the first participant, when all that it says is on all in-sync copies.
  state @0 :State;
  enum State {
    undecided @0;  # It is held by the transaction itself: ask again.
    committed @1;  # A Finish of this hold is in its outbox.
    aborted @2;    # Neither: the transaction is over and was not committed, or the Finish has been
                   # answered, and then the hold that asks is there no more.
  }
}
