# The protocol between two processes on one stream: preamble, hello, frames.
#
# A stream that begins with the 16-byte preamble is a troupe link; any other is taken for standard
# Cap'n Proto RPC (see actors/gateway.capnp for the interface offered there).
#
#   preamble   "TROUPE\r\n" (8 bytes), lane (1 byte, as in Lane), 1 zero byte, worker (16 bits,
#              little-endian; which worker of the accepting node the dialer would like), 4 zero bytes
#   frame      header words (32 bits LE), payload words (32 bits LE), kind (16 bits LE), 2 zero bytes,
#              sent (32 bits LE; milliseconds since the sender's first frame on this stream), then
#              the header and, when payload words > 0, the payload. Both are whole Cap'n Proto
#              messages in standard framing (segment table and segments); the kind says which struct
#              the header's root is, the header says what the payload's root is.
#
# The dialer sends the preamble and one hello frame, and nothing more until the answer, which is
# welcome or refusal. Frames over the size limit, kinds below 16 that are unknown, and whatever does
# not parse end the link. Unknown kinds from 16 on are skipped: that is how newer nodes talk to older.

@0xb4a1f2d07c3e9a55;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct Id128 {
  hi @0 :UInt64;
  lo @1 :UInt64;
}

enum Lane {
  control @0;  # Membership and register traffic between control loops; small, never behind bulk.
  data @1;     # Calls and replication, worker to worker; and what clients use.
}

# Kinds of frame. rpc/ has 0 to 15, membership/ 16 to 47, actors/ 48 to 79.
const kindHello :UInt16 = 0;    # Hello
const kindWelcome :UInt16 = 1;  # Hello of the acceptor
const kindRefusal :UInt16 = 2;  # Refusal; the link ends

struct Hello {
  # First frame of the dialer, and of the acceptor as its welcome. The receiver must refuse when the
  # version ranges do not overlap, when both clusters are set and differ, when the names differ,
  # when the generation is older than its own, or when `target` is set and is not its own name.

  versionMin @0 :UInt16;  # The oldest and the newest protocol version spoken.
  versionMax @1 :UInt16;
  clusterName @2 :Text;   # As configured; guards against joining another team's cluster by mistake.
  cluster @3 :Id128;      # Zero before the first value of the register is known.
  generation @4 :UInt64;  # Of the register; zero before it is known.

  role @5 :Role;
  node @6 :Text;          # Name; of a client, whatever describes it in logs.
  nonce @7 :Id128;        # Drawn at the start of the process.
  boot @8 :UInt64;        # Zero until registered.
  address @9 :Text;       # Where this node listens, host:port; empty for clients.
  target @10 :Text;       # The node the dialer means to reach; empty when it knows only an address.
  features @11 :UInt64;   # Bits; what both have set may be used. None are defined yet.

  process @12 :Process;   # Lets a node on the same computer observe our end (docs/protocol.md P5).
  mapVersion @13 :UInt64; # The newest map known; whoever is behind pulls.

  enum Role { node @0; client @1; }
  struct Process {
    pid @0 :Int64;
    startTime @1 :UInt64;
    pidNamespace @2 :UInt64;
    bootIdHash @3 :UInt64;
  }
}

struct Refusal {
  # Sent instead of welcome, or by either side before it ends a link for the same reasons later.
  reason @0 :Reason;
  detail @1 :Text;  # What was expected and what came, for a person.

  enum Reason {
    version @0;
    clusterName @1;
    clusterId @2;
    generation @3;
    wrongTarget @4;  # Another node answers at this address now.
    ownAddress @5;   # The dialer reached itself.
    stale @6;        # A newer process of this node is known.
    malformed @7;
    busy @8;
  }
}

struct Failure {
  # How a call failed, as its caller sees it. The kind is the advice.
  kind @0 :Kind;
  text @1 :Text;  # Names the actor, the method and the node.

  enum Kind {
    failed @0;         # The actor's own error, or a caller's mistake: do not retry.
    overloaded @1;     # Retry later.
    disconnected @2;   # Retry elsewhere.
    unimplemented @3;  # Give up: no such type, interface or method here.
  }
}
