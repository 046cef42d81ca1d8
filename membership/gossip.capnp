# Gossip: what members tell each other about who is alive.
#
# Two carriers. A *datagram* is one UDP packet: one message in flat form (segment table, one
# segment), below 1400 bytes, nothing before or after it; with a cluster key the whole is encrypted,
# outside this schema. A *push/pull* is a request and its answer over a control link.
#
# All bytes are checked before they are believed (gossip_codec.h has the bounds). What fails is
# counted and dropped; it never ends a connection and is never answered.
@0x8b3cfd67f705b7f5;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire::gossip");

struct Header {
  # In front of every datagram and push/pull, written by its sender about itself.

  version @0 :UInt16;
  oldest @1 :UInt16;
  # The version the sender speaks, and the oldest version that can read what it sends. A receiver
  # whose own version is below `oldest`, or whose oldest is above `version`, reads no further,
  # counts it and reports it. Fields added later do not raise `oldest`: an older node skips them.

  clusterHi @2 :UInt64;
  clusterLo @3 :UInt64;
  # Id of the sender's cluster, zero before it knows one. Zero goes with every cluster; two
  # different ids do not mix: the receiver reads no further, counts it and reports it.

  name @4 :Text;
  nonceHi @5 :UInt64;
  nonceLo @6 :UInt64;
  boot @7 :UInt64;
  # Which process sends. Boot is zero until it is registered.

  mapVersion @8 :UInt64;
  # The newest map the sender holds. Whoever is behind pulls it from the sender.
}

enum State {
  alive @0;    # Only the member itself starts this rumour.
  suspect @1;  # `accuser` could not reach it.
  dead @2;     # `accuser` waited out the suspicion.
  left @3;     # Only the member itself starts this rumour.
}

struct Update {
  # A rumour about one member, or one line of a push/pull.
  #
  # Two rumours about one process (name and nonce) are ordered by (boot, incarnation), lexically; at
  # equal rank dead and left win over suspect, suspect over alive. A rumour about another process of
  # the same name replaces everything known when its boot is higher; a process without a boot
  # replaces only one that is dead or left. What is news to the receiver, it passes on.
  #
  # A receiver that finds itself called suspect or dead answers with a higher incarnation. It must
  # not if it is leaving, or if the rumour is of lower rank than what it has already said.

  name @0 :Text;
  nonceHi @1 :UInt64;
  nonceLo @2 :UInt64;
  boot @3 :UInt64;
  incarnation @4 :UInt64;
  # Raised by the member itself, within one process. More than 2^20 above what the receiver knows is
  # a damaged packet: believed, it could not be refuted.

  state @5 :State;
  # An older node that does not know the state drops this update alone.

  rpcAddress @6 :Text;
  gossipAddress @7 :Text;
  # "host:port". In datagrams only with `alive`.

  accuser @8 :Text;
  # Name of who says suspect or dead. Suspicions of different accusers shorten the wait.

  mapVersion @9 :UInt64;
  # Of the member; it only rises, and news of it alone is passed on.

  metadata @10 :Data;
  # At most 512 bytes the failure detector does not look at. In datagrams only with `alive`.
}

struct Ping {
  # To the member named, or, on behalf of a pingReq, from a helper.

  sequence @0 :UInt64;   # Chosen by the sender, new for every ping.
  name @1 :Text;
  nonceHi @2 :UInt64;
  nonceLo @3 :UInt64;
  # Who is meant. A process that is not this one does not answer: the address has a new owner.
}

struct Ack {
  # To where the ping or pingReq came from.

  sequence @0 :UInt64;   # Of that ping or pingReq.
  nonceHi @1 :UInt64;
  nonceLo @2 :UInt64;
  # The process that is alive. The receiver ignores an ack that is not of whom it asked about.
}

struct PingReq {
  # "I cannot reach it; can you?" The receiver pings the member named at the address it knows itself
  # and passes on the ack; if none comes within its own probe timeout, or it does not know the
  # member, it sends a nack.

  sequence @0 :UInt64;
  name @1 :Text;
  nonceHi @2 :UInt64;
  nonceLo @3 :UInt64;
}

struct Nack {
  # From a helper: "I am here, and could not reach it either." Without a nack the asker must think
  # that its own network is the sick one.

  sequence @0 :UInt64;   # Of the pingReq.
}

struct Datagram {
  header @0 :Header;
  updates @1 :List(Update);
  # Rumours riding along; the receiver takes them in before the body.

  union {
    gossip @2 :Void;  # Nothing but the updates. Also what an older node sees of newer bodies.
    ping @3 :Ping;
    ack @4 :Ack;
    pingReq @5 :PingReq;
    nack @6 :Nack;
  }
}

struct PushPull {
  # All the sender knows: itself, the living, and the tombstones it still keeps. The receiver of a
  # request answers with the same, then each merges the other's. A remote `dead` is taken as
  # `suspect`, so that whoever lives gets its time to refute.

  #
  # Beyond 32 members that is too much to repeat. Then a request has digests and, of `members`, the
  # sender alone; the answer has the members of the buckets that differ and names them; and the asker
  # sends its own members of these in a second request, which is answered with none. A node that does
  # not know digests answers with all, which is right too.

  header @0 :Header;
  members @1 :List(Update);

  digests @2 :List(UInt64);
  # None, or 256. Bucket of a member: mix(fnv1a(name)) mod 256, mix as in SplitMix64. The digest is the
  # sum, modulo 2^64, over members that are alive or suspect, the sender among them, of h where
  # h0 = mix(fnv1a(name) + 1) and h = mix(h * 0x9E3779B97F4A7C15 + part) for the parts nonceHi,
  # nonceLo, boot, incarnation and state, in this order.

  buckets @3 :List(UInt16);
  # In an answer to digests: those that differ. In a second request: those that `members` is of.
}
