# What the copies of a shard say to each other. Rules: docs/protocol.md P3 and P4.
#
# Frame kind 52 on the data lane carries a ReplicaFrame from one worker to the worker of the same
# shards on another node. One frame with batches is in flight per (worker, peer); heartbeats and
# acknowledgements do not wait for it. A message that is malformed, over a bound or of an unknown
# kind is dropped and counted; nothing here is ever asserted.
#
# "Primary" is the copy that leads `epoch`; "copy" the one it talks to. Versions are (epoch, seq) of
# the batch that last changed an actor.

@0xb40ef457a8000fc5;

using Cxx = import "/capnp/c++.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
$Cxx.namespace("troupe::wire");

const kindReplica :UInt16 = 52;  # ReplicaFrame

struct ReplicaFrame {
  # From a primary's worker (on the link it dialed): the messages for one peer that gathered in a
  # turn of its loop. The peer answers, on the same link, with what its copies reply to them.

  messages @0 :List(ReplicaMessage);
  number @1 :UInt64;        # Of a frame that carries batches, rising per link; 0: carries none.
  acknowledges @2 :UInt64;  # In an answer: the `number` it answers. The next batches may come.
}

struct ReplicaMessage {
  # Whoever is not `target` drops the message. A copy that has promised a higher epoch answers
  # `reject`; one that has not promises this one. A copy whose map is older than its own
  # registration drops it (P4.4).

  shard @0 :UInt32;
  lineage @1 :UInt64;  # Of the shard's history; epochs rise across lineages.
  epoch @2 :UInt64;
  primary @3 :UInt64;  # Boot that leads the epoch, in both directions.
  target @4 :UInt64;   # Boot that is meant.
  stamp @5 :Int64;     # From the primary: its clock in nanoseconds at sending. Echoed in `ack`.
  mark @6 :UInt64;     # From the primary: all ISR members hold the epoch up to this seq (P3.4).
                       # 0: not known yet. A copy in sync keeps the highest that it holds itself.

  union {
    heartbeat @7 :Void;
    # Primary, every third of a lease, to all members of ISR and ELR, of a pending AlterIsr, and to
    # learners. The copy answers `ack`: a read lease (P4.1).

    batch @8 :Batch;
    # Primary, to ISR members, those of a pending AlterIsr, and learners whose snapshot is complete.

    reportRequest @9 :ReportRequest;
    # Primary: at the start of an epoch to each ISR member, later to each new learner. Repeated
    # until the report is whole.

    snapshot @10 :Snapshot;
    # Primary, to a learner whose report is whole.

    ack @11 :Ack;
    # Copy, to every message above except reportRequest.

    reject @12 :Reject;
    # Copy. The receiver stops serving at once if it leads a lower epoch.

    report @13 :Report;
    # Copy, to reportRequest.
  }
}

struct Batch {
  # Seq 1 of an epoch is the reconciliation: what differed among the ISR, as the new primary has it.
  # A copy takes it only after it has reported in that epoch and while it is not a learner. From
  # seq 2 on it is the stream: taken only by a copy in sync, and only in order. A batch in several
  # chunks is taken in one step when all are there. What has been taken already is acknowledged
  # again. A delta on another base than the copy's ends its being in sync: `ack` says lost.

  seq @0 :UInt64;
  chunk @1 :UInt32;
  chunks @2 :UInt32;
  updates @3 :List(Update);
}

struct Update {
  # An actor's state after the batch `version`, with the records of its calls (P6.2).

  type @0 :UInt64;
  key @1 :Data;        # At most 1 KiB.
  epoch @2 :UInt64;    # The version.
  seq @3 :UInt64;
  turn @4 :UInt64;             # Turns run so far; numbers the calls this actor makes.
  oldestUnsettled @5 :UInt64;  # Lowest turn whose calls may be made again.
  resume @6 :Bool;             # A timer or an open call wants the actor activated after a failover.

  reminders @15 :Reminders;
  # All of the actor's. In a delta: not there when they did not change, an empty list when there are
  # none any more. An older node forgets them.

  called @16 :Bool;
  # It has called other actors, which may remember the numbers of its turns: it goes on counting
  # though it may have been erased.

  outbox @17 :Outbox;
  # What the actor has told others and is not answered yet (P6.6): all of it, or in a delta what
  # changed; not there when nothing did. An older node forgets it.

  watches @18 :Watches;
  # Whom the actor watches, and by whom it is watched (P6.16), all of it. In a delta: not there when it
  # did not change. Empty lists: none any more. An older node forgets it.
  hold @19 :Hold;
  # A transaction that has the actor (P6.15). In a delta: not there when that did not change, with id 0
  # when it has ended. An older node takes what is tentative for the state, and keeps it.

  union {
    tombstone @7 :Void;  # The actor is gone; kept as such until a mark covers it.
    image :group {       # Replaces state and records.
      state @8 :Data;    # At most 8 MiB.
      records @9 :Records;
    }
    delta :group {       # Only on exactly this base.
      baseEpoch @10 :UInt64;
      baseSeq @11 :UInt64;
      newState :union {
        same @12 :Void;
        bytes @13 :Data;
      }
      changes @14 :Records;
    }
  }
}

struct Reminders {
  # Turns that an actor has asked for. Times are of the wall clock, in nanoseconds since 1970: they
  # mean the same on another node, but for what the clocks are apart.

  list @0 :List(Reminder);  # At most 64, by name.

  struct Reminder {
    name @0 :Data;       # 1 to 256 bytes.
    due @1 :Int64;       # The next due time that is not served.
    every @2 :Int64;     # Nanoseconds; 0: once.
    catchUp @3 :CatchUp;
    skipped @4 :UInt64;  # Due times before `due` that were passed over since the last was served.
    setBy @5 :UInt64;    # Number of the turn that set it.
  }
  enum CatchUp {  # What becomes of due times that passed while no primary served the shard.
    skip @0;
    once @1;
    all @2;
  }
}

struct Hold {
  # `state` of the update is tentative, and so are its reminders, its wish to resume and what it has
  # told in turn `turn` or later. This is what it goes back to if the transaction does not commit.

  id @0 :Wire.Id128;    # 0: no hold.
  age @1 :Int64;
  limitMs @2 :UInt32;
  type @3 :UInt64;      # The first participant,
  key @4 :Data;         # at most 1 KiB.
  lineage @5 :UInt64;   # The grant.
  turn @6 :UInt64;
  state @7 :Data;       # With the tentative one at most 8 MiB.
  reminders @8 :Reminders;
  resume @9 :Bool;
  resumeSince @10 :UInt64;
}

struct Outbox {
  # Calls, each to be made until it is answered, under the same id on whichever node.

  added @0 :List(Told);   # By (turn, index). At most 4096, and 768 KiB with their parameters.
  done @1 :List(Number);  # In a delta: those that have been answered, rising.

  struct Number {
    turn @0 :UInt64;   # That told it,
    index @1 :UInt32;  # and its place among what that turn told.
  }
  struct Told {
    number @0 :Number;
    type @1 :UInt64;  # Of whom is called,
    key @2 :Data;     # at most 1 KiB.
    interface @3 :UInt64;
    method @4 :UInt16;
    idHi @5 :UInt64;
    idLo @6 :UInt64;
    params @7 :Data;  # A whole message.
    metadata @8 :List(ToldMetadatum);  # As of a call (actors/call.capnp). An older node drops it.
  }
}

struct ToldMetadatum {
  key @0 :Text;
  value @1 :Text;
}

struct Watches {
  # At most 160 KiB, as watch_table.h counts.

  watched @0 :List(Watched);    # At most 1024, by (type, key).
  watchers @1 :List(Watcher);   # At most 1024, by (type, key).

  struct Watched {
    type @0 :UInt64;  # 0: a node, of that name.
    key @1 :Data;
    idHi @2 :UInt64;  # Of this watch.
    idLo @3 :UInt64;
    shard @4 :UInt32;
    since @5 :UInt64; # The shard's lineage; 0: not told yet that it is watched. Of a node: its boot.
    ended @6 :UInt8;  # Its notice is due: 1 and why (actors/notice.h). 0: not.
    text @7 :Data;    # Of the notice, at most 160 bytes.
  }
  struct Watcher {
    type @0 :UInt64;
    key @1 :Data;
    idHi @2 :UInt64;
    idLo @3 :UInt64;
  }
}

struct Records {
  # Records of answered calls: all of an actor's, or in a delta what moved. Ages are milliseconds,
  # because clocks of two nodes cannot be compared.

  clients @0 :List(Client);
  callers @1 :List(Caller);

  struct Client {
    id @0 :Wire.Id128;
    floor @1 :UInt64;    # No call below it is ever run; records below it are gone.
    ageMs @2 :UInt64;    # Since anything of this client moved.
    dropped @3 :Bool;    # Delta only: nothing of this client is kept.
    records @4 :List(ClientRecord);
  }
  struct ClientRecord {
    sequence @0 :UInt64;
    record @1 :Record;
  }
  struct Caller {        # An actor that calls this one.
    type @0 :UInt64;
    key @1 :Data;
    lineage @2 :UInt64;
    epoch @3 :UInt64;    # The highest seen; frames of lower ones are refused.
    mark @4 :UInt64;     # Turns below are settled: no record, no run.
    records @5 :List(CallerRecord);
    ageMs @6 :UInt64;    # Since anything of this caller moved.
    dropped @7 :Bool;    # Delta only: nothing of this caller is kept.
  }
  struct CallerRecord {
    id @0 :Wire.Id128;
    turn @1 :UInt64;
    record @2 :Record;
  }
  struct Record {
    argumentHash @0 :UInt64;
    status @1 :Status;
    result @2 :Data;     # At most 64 KiB.
    ageMs @3 :UInt64;    # Since the answer.
  }
  enum Status {
    ok @0;
    error @1;
    tooLarge @2;  # Answered; the result is not kept.
    begun @3;     # A snapshot was taken in mid-call.
  }
}

struct ReportRequest {
  # The copy lists its actors with their versions. Scope all also makes it a learner of this primary
  # and epoch: it leaves the stream until the snapshot of this request is complete. A request with a
  # number below the highest seen of the epoch is dropped; the same again is answered again, unless
  # its snapshot is complete.

  scope @0 :Scope;
  request @1 :UInt64;

  enum Scope {
    aboveMark @0;  # Only what changed after the copy's mark, the mark with it.
    all @1;
  }
}

struct Report {
  request @0 :UInt64;
  chunk @1 :UInt32;
  last @2 :Bool;
  markEpoch @3 :UInt64;
  markSeq @4 :UInt64;
  entries @5 :List(Entry);

  struct Entry {
    type @0 :UInt64;
    key @1 :Data;
    epoch @2 :UInt64;
    seq @3 :UInt64;
  }
}

struct Snapshot {
  # Chunks are taken in order, each update only if its version is higher than the copy's (nothing is
  # deleted first: a learner may be the last eligible copy). After the last the copy is in sync at
  # (epoch, seq).

  request @0 :UInt64;
  seq @1 :UInt64;
  chunk @2 :UInt32;
  last @3 :Bool;
  updates @4 :List(Update);  # Images only.
}

struct Ack {
  # Also a read lease of 250 ms to the primary, counted there from `echo`, here from receipt (P4).

  sync @0 :Sync;
  seq @1 :UInt64;         # Held up to here, when synced.
  request @2 :UInt64;     # Of the snapshot being received, else 0 ...
  nextChunk @3 :UInt32;   # ... and the chunk that is missing.
  echo @4 :Int64;
  mapVersion @5 :UInt64;  # The lease counts only for a primary that knows a map at least as new.
  taken @6 :UInt64;       # Held up to here, when synced, though perhaps not on disk: no need to send it
                          # again. 0 from an older node.

  enum Sync { none @0; synced @1; lost @2; }
}

struct Reject {
  promised @0 :UInt64;
}
