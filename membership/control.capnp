# What nodes say to each other on control links, beside the hello: kinds 16 to 47.
#
# The dialer of a link sends requests, the acceptor answers on the same link; notices go from dialer
# to acceptor and are not answered. Requests that carry a `number` get one answer with that number,
# or none: whoever asks has a deadline. An unknown kind is skipped, so an older node is one that does
# not answer. What the register's voters say (kinds 20 and 21) is in register.capnp. Rules:
# docs/protocol.md P1, P2, P5.

@0xa6d40f83c5b71e29;

using Cxx = import "/capnp/c++.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
using Cluster = import "/troupe/membership/cluster.capnp";
$Cxx.namespace("troupe::wire::control");

const kindPushPull :UInt16 = 16;         # Exchange, a request
const kindPushPullAnswer :UInt16 = 17;   # ExchangeAnswer
const kindLinkProbe :UInt16 = 18;        # LinkProbe, a request
const kindLinkProbeAnswer :UInt16 = 19;  # LinkProbeAnswer
const kindVoterRequest :UInt16 = 20;     # Carried; the bytes are register.capnp's VoterRequest
const kindVoterReply :UInt16 = 21;       # Carried; VoterReply, the answer
const kindCommands :UInt16 = 22;         # Carried; CommandBatch, to a voter
const kindCommandReplies :UInt16 = 23;   # Carried; CommandReplies, the answer
const kindMapNews :UInt16 = 24;          # MapNews, a notice
const kindMapPull :UInt16 = 25;          # MapPull, a request
const kindMapAnswer :UInt16 = 26;        # MapAnswer
const kindEvidence :UInt16 = 27;         # Evidence, a notice
const kindFounding :UInt16 = 28;         # Founding, a request
const kindFoundingAnswer :UInt16 = 29;   # FoundingAnswer
const kindOperator :UInt16 = 30;         # Operator, a request of the command `troupe`
const kindOperatorAnswer :UInt16 = 31;   # OperatorAnswer
const kindSurvey :UInt16 = 32;           # Survey, a request
const kindSurveyAnswer :UInt16 = 33;     # SurveyAnswer

struct Carried {
  # A message of another schema, whole and in standard framing.
  bytes @0 :Data;
}

struct Numbered {
  # How every request with a number begins, and its answer.
  number @0 :UInt64;
}

struct Exchange {
  # The asker's whole view of who is here (gossip.capnp), for the receiver to merge and to answer
  # with its own.
  number @0 :UInt64;
  view @1 :Data;
}

struct ExchangeAnswer {
  number @0 :UInt64;
  view @1 :Data;      # Empty when refused.
  refused @2 :Text;   # Why: another cluster, another version.
}

struct LinkProbe {
  # A sign of life over the link. A mere connection is none: a stopped process accepts.
  number @0 :UInt64;
}

struct LinkProbeAnswer {
  number @0 :UInt64;
  nonce @1 :Wire.Id128;    # Of the process that answers; the asker compares it with whom it meant.
  reachesAsker @2 :Bool;   # It has a live link of its own to the asker's process: both ways work.
}

struct MapNews {
  # A newly chosen value of the register, told at once by whoever got it chosen. A receiver that has
  # `base` applies the difference; any other that is behind pulls.
  version @0 :UInt64;
  base @1 :UInt64;         # What `bytes` is a difference from; 0: a whole value.
  bytes @2 :Data;
}

struct MapPull {
  number @0 :UInt64;
  have @1 :UInt64;         # The version the asker has; 0: none.
}

struct MapAnswer {
  # The newest value the answerer knows as chosen; as in MapNews. Empty: none newer than asked.
  number @0 :UInt64;
  version @1 :UInt64;
  base @2 :UInt64;
  bytes @3 :Data;
}

struct Evidence {
  # What the sender itself saw of another node. Sent to every voter, as the coordinator may be the
  # one that is dead; the receiver weighs it (docs/protocol.md P5) and takes the observer to be who
  # said hello on this link. What is about a boot that is not the current one is dropped.
  subject @0 :Text;
  boot @1 :UInt64;
  kind @2 :Kind;

  enum Kind {
    lost @0;      # An established link ended.
    refused @1;   # A fresh socket was told that nobody is there, and nothing came since.
    exited @2;    # Proof: the process was observed on its own computer, and has ended.
  }
}

struct Founding {
  # From the founder of a cluster to the nodes it is to consist of, and between these. See
  # membership/founding.h for who may send what.
  number @0 :UInt64;
  expect @1 :UInt32;       # What the sender was started with; differing ones do not found together.
  union {
    invite @2 :Void;       # Would you? Answered by candidate or refused.
    offer @3 :Data;        # The founding value, for the receiver to accept durably. It lists all
                           # founders. Accepted, it binds until withdrawn by the founder, or shown
                           # to be impossible.
    ask @4 :Wire.Id128;    # What of the founding value of this cluster id? Answered by accepted,
                           # chosen, or refused: then the answerer never will accept it.
    withdraw @5 :Wire.Id128;  # From its founder only: this value never will count.
    unfit @6 :Text;        # From the founder to a candidate, not answered: you host other types than we
                           # do, in words. It ends. An older node takes it for an invite.
  }
}

struct FoundingAnswer {
  number @0 :UInt64;
  union {
    candidate @1 :Cluster.Node;  # Who the answerer is; boot, generation and state mean nothing yet.
    accepted @2 :Void;
    refused @3 :Text;
    chosen @4 :Data;             # It counts, or another value does: here is the cluster's value.
  }
  types @5 :List(Cluster.HostedType);  # Of a candidate: what it hosts, with names.
}

struct Operator {
  # What only a person may decide. Any node takes it. Answered when it is done or refused; asking
  # again for what is done is refused, and changes nothing.
  number @0 :UInt64;
  shards @1 :List(UInt32);   # Of recoverShards, empty: all that are LOST.
  union {
    recoverShards @2 :Void;  # LOST shards start again, empty, in their next lineage.
    declareLost @3 :Void;    # The copies of shards without a primary will not come back.
    newGeneration @4 :Void;  # A majority of the voters will not come back: this node founds the
                             # next generation of the register from what the survivors know.
  }
}

struct OperatorAnswer {
  number @0 :UInt64;
  code @1 :UInt16;           # absl::StatusCode; 0: done.
  message @2 :Text;
  shards @3 :List(UInt32);   # What it was done to; of newGeneration those that are LOST with it.
  version @4 :UInt64;        # Of the map that shows it.
  generation @5 :UInt64;
}

struct Survey {
  # From who founds a new generation to all it sees. Who answers takes part in no other founding of
  # that generation for a while.
  number @0 :UInt64;
  generation @1 :UInt64;     # To be founded.
}

struct SurveyAnswer {
  number @0 :UInt64;
  refused @1 :Text;          # Empty: not.
  nonce @2 :Wire.Id128;      # Of the process that answers.
  map @3 :Data;              # Its newest; empty: none.
  acceptor @4 :Data;         # register.capnp's AcceptorState.
  tried @5 :UInt64;          # The highest generation that it knows somebody tried to found; 0: none.
  storage @6 :Wire.Id128;    # Of its data directory; zero: none, or an older node.
}

# ---- Kept in the data directory.

struct Identity {
  # The record "identity": whose the directory is.
  storage @0 :Wire.Id128;
  node @1 :Text;
  nonces @2 :List(Wire.Id128);  # Of the processes that may have registered with it, oldest first.
  birth @3 :UInt64;             # Of the directory that this was written to (runtime/data_directory.h):
                                # in another it is a copy. 0: not known.
}
