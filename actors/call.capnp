# Calls of actors over links of the data lane (rpc/wire.capnp tells what a link and a frame are).
#
# A call frame goes from the caller's process to the node that its map names as the primary of the
# actor's shard; exactly one answer frame comes back on the same link, unless the link ends. A call to
# an observer (docs/protocol.md P6.14), an object of a client, goes to any node that the client has a
# link to, and from there as a call frame on that link, of which the client is the dialer.

@0xbfd3a6a5d27e1f04;

using Cxx = import "/capnp/c++.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
$Cxx.namespace("troupe::wire");

const kindCall :UInt16 = 48;      # CallFrame; payload: the parameters
const kindAnswer :UInt16 = 49;    # AnswerFrame; payload: the results, if it succeeded
const kindMapPull :UInt16 = 50;   # MapPull; the answer is kindMap, now and after each change
const kindMap :UInt16 = 51;       # MapFrame; payload: membership/cluster.capnp ClusterState
# 52 is kindReplica of replication.capnp.
const kindStatusPull :UInt16 = 53;  # StatusPull, answered by kindStatus
const kindStatus :UInt16 = 54;      # StatusFrame
const kindObserve :UInt16 = 55;     # ObserveFrame

struct ActorName {
  type @0 :UInt64;  # Id of the Cap'n Proto interface that is the actor's type.
  key @1 :Data;     # At most 1024 bytes. Of an observer: as actors/observer_key.h tells.
}

struct RefTable {
  # Parameters, results, records and snapshots are each a message in standard framing. Refs in it are
  # capability pointers: indices into this table, which is the root of a second message, right behind
  # the first; a message with neither refs nor a version has none. An older node does not look behind the first: to it
  # the refs are capabilities without a table, and reading them fails.
  #
  # A ref gives no right and holds nothing alive: it is a name. The receiver makes of it a ref of its
  # own, calls by which are its own calls.
  refs @0 :List(ActorName);  # At most 65,536. Type 0: an index that is not used.

  stateVersion @1 :UInt32;
  # Of a snapshot: ActorTypeOptions::state_version of the node that wrote it. A node that hosts a lower one
  # does not load it (P6.8). Zero in anything else. An older node does not look.
}

struct CallFrame {
  # Who receives it must answer, by the deadline, with results, a failure or a redirection. A call
  # that is known by its id is not run again: its recorded answer is given (docs/protocol.md P6).

  number @0 :UInt64;   # Of this call on this link; the answer repeats it.
  actor @1 :ActorName;
  interface @2 :UInt64;
  method @3 :UInt16;
  timeLeftMs @4 :UInt32;  # When the frame was sent; its transit time counts. At most 300,000.

  id :union {
    client :group {        # From a client object.
      client @5 :Wire.Id128;
      sequence @6 :UInt64;         # Rises with each call of one caller. One that is not known is
                                   # refused where a later one is (P6.9).
      firstIncomplete @7 :UInt64;  # Every lower sequence of this client is answered.
    }
    actor :group {         # From a turn of an actor. On a link of a client: answered FAILED.
      caller @8 :ActorName;
      lineage @9 :UInt64;  # Of the caller's shard.
      epoch @10 :UInt64;
      turn @11 :UInt64;    # Number of the turn that calls.
      mark @12 :UInt64;    # The oldest turn of the caller that is not settled.
      id @13 :Wire.Id128;  # Derived: the same when the same turn runs again elsewhere.
      told @16 :Bool;      # Made until it is answered: a turn of it that fails, but not as FAILED,
                           # and is undone leaves no record (P6.6).
    }
  }

  chain @14 :List(ActorName);  # The actors whose open turns wait for this call, outermost first.
                               # At most 64.
  chainTurns @17 :List(UInt64);
  # Which turn of each of them (LinkOf in actors/call.h); 0: not known. A call of a `$reentrant` method
  # runs within that turn while it is open (P6.17). Without it, as of an older node, it is a call cycle.

  # Interface 0, method 0, from an actor: nothing is run. The caller says with `mark`, in its lane,
  # that it will not repeat what turns below it have called, so that their records go (P6.5). An
  # older node answers that it is not implemented.
  #
  # Interface 0, method 1, from a client: nothing is run. An actor that is suspended is tried again
  # at once; FAILED when it is not suspended.
  #
  # Interface 0, methods 8 to 10, told by an actor (P6.16): "I watch you" with WatchParams, answered
  # with WatchResults; "no longer", with WatchParams; "I have ended", with NoticeParams, which a client
  # may send too if it knows the watch's id. No method of the actor is run for them; they are recorded
  # as its calls are. An older node answers that they are not implemented, and is told again.
  #
  # Interface 0, methods 16 to 20: see transaction.capnp.

  metadata @18 :List(Metadatum);
  # By key, at most 16, of 4 KiB in all. What the callee's turn calls and tells carries it on. An older
  # node drops it.

  byActor @19 :Bool;
  # By an actor's object, though under a client's id: in a `$readOnly` method, of a pool, by a child. On a
  # link of a client it counts as not set.

  lane @15 :Lane;
  struct Lane {
    # One caller's calls to one actor, in order. When a call of an attempt has been answered `moved`,
    # all later ones of that attempt are answered so too: the caller sends them again, in order,
    # under the next attempt.
    origin @0 :UInt64;
    number @1 :UInt64;
    attempt @2 :UInt32;
  }
}

struct Metadatum {
  key @0 :Text;    # 1 to 64 bytes.
  value @1 :Text;
}

struct WatchParams {
  id @0 :Wire.Id128;   # Of this watch.
}

struct WatchResults {  # Where the watched actor is, so that the loss of its shard is seen by the map.
  shard @0 :UInt32;
  lineage @1 :UInt64;
}

struct NoticeParams {
  id @0 :Wire.Id128;   # Of the watch that is over. One that is not known is passed over.
  why @1 :UInt8;       # As Notice::Why of actors/notice.h; one that is not known: erased.
  text @2 :Text;       # At most 160 bytes; more is cut.
}

struct AnswerFrame {
  number @0 :UInt64;
  union {
    results @1 :Void;          # They are the payload.
    failure @2 :Wire.Failure;
    moved @3 :Moved;           # Not the primary, or not able to run it now: it did not run.
  }

  struct Moved {
    mapVersion @0 :UInt64;  # That the answering node goes by; a caller with an older one pulls.
    text @1 :Text;          # Why, for the error that a deadline may bring.
  }
}

struct ObserveFrame {
  # From a client: calls to its observers are to be sent on this link from now on, and it answers them
  # here. Voids what it said on an earlier link to this node, and all calls that are unanswered there.
  # Of a node it is ignored. An older node skips it, and looks for observers in a shard: its answer is
  # that nobody hosts them.
  secret @0 :Wire.Id128;  # Drawn by the client. Its id in the keys of its observers is a hash of this
                          # (actors/observer_key.h), so nobody else can claim it.
}

struct MapPull {
  # From a client: send the map now if it is newer than `have`, and again whenever it changes.
  have @0 :UInt64;
}

struct MapFrame {
  version @0 :UInt64;
}

struct StatusPull {
  number @0 :UInt64;
}

struct StatusFrame {
  # What one node sees, for `troupe status`.
  number @0 :UInt64;
  node @1 :Text;
  boot @2 :UInt64;
  coordinator @3 :Text;
  mapVersion @4 :UInt64;
  members @5 :List(Member);
  actors @6 :UInt64;         # Activations on this node.
  calls @7 :UInt64;          # Calls answered since the start.
  storedActors @8 :UInt64;   # Actors of which this node holds a copy.
  notice @9 :Text;           # What the operator should know; empty: nothing.
  suspended @10 :UInt64;     # Actors that this node does not run because they failed too often.
  suspendedActors @11 :List(Text);  # Some of them, as TYPE/KEY with their last error.
  types @12 :List(Type);     # That this node hosts.

  struct Type {
    id @0 :UInt64;           # Of the Cap'n Proto interface.
    name @1 :Text;
  }

  struct Member {
    name @0 :Text;
    state @1 :Text;     # As gossip sees it: alive, suspect, dead, left.
    address @2 :Text;
  }
}
