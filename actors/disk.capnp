# What a node keeps of shards of durable types, in its RecordStore (runtime/record_store.h). Rules:
# docs/protocol.md P3.19. The keys are in actors/shard_journal.cc.

@0xe7c1b4f06a2d9853;

using Cxx = import "/capnp/c++.capnp";
using Replication = import "/troupe/actors/replication.capnp";
$Cxx.namespace("troupe::wire");

struct DiskShard {
  # One of each shard: what the records beside it amount to. Written with every batch.

  format @0 :UInt32;  # 1. A program reads none that it does not know.
  clusterHi @1 :UInt64;
  clusterLo @2 :UInt64;
  lineage @3 :UInt64;
  epoch @4 :UInt64;  # The position of the copy.
  seq @5 :UInt64;
  markEpoch @6 :UInt64;
  markSeq @7 :UInt64;
}

struct DiskUpdates {
  # An actor as an image, or as a tombstone, or what one batch changed of it since the record before.

  updates @0 :List(Replication.Update);  # One.
}
