# What proposers and voters of the register say to each other, and what a voter keeps on disk.
#
# Rules: docs/protocol.md P2. Proposers are voters' control loops; a message names the voter it is
# for, because a name may by now belong to another process, which is another voter and must not
# answer. Values are whole ClusterStates in standard framing, opaque here but for their header.

@0xe1c7a3904d6b5f28;

using Cxx = import "/capnp/c++.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
using Cluster = import "/troupe/membership/cluster.capnp";
$Cxx.namespace("troupe::wire");

struct Ballot {
  # Ordered by round, node, nonce. Round 0: none.
  round @0 :UInt64;
  node @1 :Text;
  nonce @2 :Wire.Id128;        # Of the proposer's process.
}

struct VoterRequest {
  # Proposer to voter. Lost or doubled without harm. A voter answers only if `to` is itself.

  to @0 :Cluster.Voter;
  ballot @1 :Ballot;
  known @2 :UInt64;            # Version of the newest value the proposer knows as chosen; a voter
                               # that knows a newer one answers superseded instead of a vote.
  union {
    prepare @3 :Void;          # Promise this ballot, if it is higher than all promised before.
    accept :group {            # Accept, unless a higher ballot is promised, and promise `next`.
      next @4 :Ballot;
      value @5 :Data;
    }
    chosen @6 :Data;           # This was chosen at the ballot. Empty: what the voter accepted at it.
                               # Not answered.
  }
  generation @7 :UInt64;       # Of the register. A voter of another one does not answer: what it
                               # promised and accepted was in a register that is no more, or not yet.
}

struct VoterReply {
  # Voter to proposer, after whatever it says is durable where the voter has a disk.

  from @0 :Cluster.Voter;
  ballot @1 :Ballot;           # Of the request.
  union {
    promised :group {
      accepted @2 :Ballot;     # Round 0 and no value: this voter is empty.
      value @3 :Data;
    }
    accepted @4 :Void;
    rejected @5 :Ballot;       # What is promised instead.
    superseded @6 :Data;       # A chosen value newer than the proposer knows.
  }
}

struct AcceptorState {
  # The record "acceptor" of the data directory.

  promised @0 :Ballot;
  accepted @1 :Ballot;
  value @2 :Data;              # Empty: none.
  chosen @3 :Data;             # Empty: none, or the same as `value` where chosenIsValue is set.
  chosenIsValue @4 :Bool;
  voter @5 :Cluster.Voter;     # Whose state this is; another id must not vote with it.
  generation @6 :UInt64;       # Of the register it is about. 0: none, or of a program that did not
                               # write it: then that of `value` or `chosen`.
}

struct CommandBatch {
  # To the voter that is coordinator (and, unanswered, to the next). Commands are idempotent and
  # compare-and-set, so that sending one again is harmless.

  commands @0 :List(Item);

  struct Item {
    id @0 :UInt64;             # Of the asking process; its own choice, comes back with the reply.
    command @1 :Cluster.Command;  # Absent: only confirm the map by a quorum, begun after this came.
  }
}

struct CommandReplies {
  # After a quorum accepted a value that contains what is said here.

  replies @0 :List(Item);

  struct Item {
    id @0 :UInt64;
    version @1 :UInt64;        # The chosen value in which this holds; 0: not known, ask again.
    code @2 :UInt16;           # absl::StatusCode; 0: the command's effect is in that value.
    message @3 :Text;
  }
}
