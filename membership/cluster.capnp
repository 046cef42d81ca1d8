# The value of the register: who is a member, who owns what, and the commands that change it.
#
# The rules are docs/protocol.md P1 to P3, the types membership/cluster_state.h. Whoever receives
# one of these validates it as a whole before believing any of it: sets are sorted and without
# duplicates, copies are current boots, counts are within membership/limits.h.

@0xd3a1c95e0b7f4286;

using Cxx = import "/capnp/c++.capnp";
using Wire = import "/troupe/rpc/wire.capnp";
$Cxx.namespace("troupe::wire");

struct ClusterState {
  # The value as the register stores it and as the map a node is given whole.
  #
  # Fields 0 to 5 mean the same in every format: a node that meets a newer `format` reads them, keeps
  # the rest as bytes, votes, and neither changes nor serves by it.

  format @0 :UInt32;            # What a program must know to change the value: 2 once there is a durable
                                # group, before that 1. Never falls.
  version @1 :UInt64;           # +1 by every command; never 0 in a value.
  generation @2 :UInt64;        # Raised by `troupe recover`; a receiver refuses an older one.
  cluster @3 :Wire.Id128;
  voters @4 :List(Voter);       # Sorted. Quorums are majorities of these,
  pending @5 :List(Voter);      # and of these too while a voter change is under way.

  config @6 :ClusterConfig;
  nodes @7 :List(Node);         # Sorted by name.
  shards @8 :List(Shard);       # By id; as many as config.shards.
  types @9 :List(HostedType);   # Sorted by id: all that nodes host, or once hosted. A value of before
                                # has none, and no node that hosts any.
  roles @10 :List(Role);        # In the order of their shards. None, in a value of before: one
                                # role, "default", has all.
}

struct Role {
  # A group of shards: of the durable types of a role, or of its others.
  name @0 :Text;                # Not empty. Two groups at most have one name.
  shards @1 :UInt32;            # How many; they are behind those of the groups before it.
  minIsr @2 :UInt32;            # In force.
  durable @3 :Bool;             # Copies are on disk. Only in a value of format 2.
}

struct HostedType {
  id @0 :UInt64;
  name @1 :Text;                # Not empty.
  role @2 :Text;                # That its actors' shards are of; empty: "default".
  durable @3 :Bool;             # Its actors are in the durable group of that role. An older program
                                # drops it: so registerDurable below.
}

struct ClusterConfig {
  replicas @0 :UInt32;
  minIsrSetting @1 :UInt32;     # What the operator set; 0: by the number of nodes.
  minIsr @2 :UInt32;            # In force, of the first role.
  shards @3 :UInt32;            # Of each group; fixed at founding.
}

struct Voter {
  node @0 :Text;
  id @1 :Wire.Id128;            # The process's nonce, or the storage id where the acceptor is durable.
}

enum NodeState { up @0; draining @1; fenced @2; left @3; }

struct Node {
  name @0 :Text;
  boot @1 :UInt64;              # The register's version that registered this process.
  nonce @2 :Wire.Id128;
  generation @3 :UInt64;        # Raised by each Unfence.
  addresses @4 :List(Text);
  zone @5 :Text;
  roles @6 :List(Text);
  storage @7 :Wire.Id128;       # Zero: nothing on disk.
  state @8 :NodeState;
  types @9 :List(UInt64);       # That it hosts, sorted; each is in the table. None: it has no copies.
}

enum ShardState { active @0; noPrimary @1; lost @2; }

struct Shard {
  lineage @0 :UInt64;
  epoch @1 :UInt64;             # +1 at each new primary; never falls.
  primary @2 :UInt64;           # 0: none.
  isr @3 :List(UInt64);         # Copies, by boot, sorted; so are elr and learners.
  elr @4 :List(UInt64);
  learners @5 :List(UInt64);
  isrVersion @6 :UInt64;
  noWait @7 :UInt64;            # In this epoch leases granted to this boot are void.
  state @8 :ShardState;
}

struct ClusterDifference {
  # What changed from one version to a later one. The receiver applies it only to exactly
  # `fromVersion` of the same cluster, generation and format, and else asks for the whole value.

  format @0 :UInt32;
  fromVersion @1 :UInt64;
  version @2 :UInt64;           # Higher than fromVersion.
  generation @3 :UInt64;
  cluster @4 :Wire.Id128;
  voters @5 :List(Voter);       # Whole, as are pending and config: they are small.
  pending @6 :List(Voter);
  config @7 :ClusterConfig;
  nodes @8 :List(Node);         # New or changed, sorted by name.
  gone @9 :List(Text);          # Names no longer in the value.
  shards @10 :List(Change);     # Changed, by id ascending; those of new roles follow without a gap.
  types @11 :List(HostedType);  # The table, whole; null: unchanged.
  roles @12 :List(Role);        # Whole; null: unchanged.

  struct Change {
    id @0 :UInt32;
    shard @1 :Shard;
  }
}

struct Command {
  # A wish, sent to the coordinator. Each is compare-and-set and idempotent: whoever gets no answer
  # sends it again, to the same voter or another. An unknown kind is answered UNIMPLEMENTED.

  union {
    register @0 :Register;
    fence @1 :Fence;
    unfence @2 :NodeRef;
    alterIsr @3 :AlterIsr;
    addLearner @4 :Learner;
    removeLearner @5 :Learner;
    movePrimary @6 :MovePrimary;
    drain @7 :NodeRef;
    leave @8 :NodeRef;
    recover @9 :ShardRef;
    declareLost @10 :ShardRef;
    setPendingVoters @11 :SetPendingVoters;
    adoptPendingVoters @12 :List(Voter);
    setConfig @13 :SetConfig;
    registerDurable @14 :Register; # Of a node that hosts durable types. To an older coordinator they would
                                   # be ordinary ones, for good: this it does not know.
  }

  struct Register {
    node @0 :Text;
    nonce @1 :Wire.Id128;
    replaces @2 :UInt64;        # Boot of this name that the registrant knows of; 0: none.
    holdsDataLock @3 :Bool;     # Proof that the process of that boot is dead.
    addresses @4 :List(Text);
    zone @5 :Text;
    roles @6 :List(Text);
    storage @7 :Wire.Id128;
    types @8 :List(HostedType); # That the node hosts, sorted by id. An older coordinator does not
                                # read them: to it the node hosts nothing.
  }
  struct NodeRef {
    node @0 :Text;
    boot @1 :UInt64;
    generation @2 :UInt64;      # Not read by drain and leave.
  }
  struct Fence {
    ref @0 :NodeRef;
    proofOfDeath @1 :Bool;      # Leases granted to this boot are void.
  }
  struct AlterIsr {
    shard @0 :UInt32;
    primary @1 :UInt64;
    epoch @2 :UInt64;
    isrVersion @3 :UInt64;
    isr @4 :List(UInt64);
  }
  struct Learner {
    shard @0 :UInt32;
    epoch @1 :UInt64;
    copy @2 :UInt64;
  }
  struct MovePrimary {
    shard @0 :UInt32;
    epoch @1 :UInt64;
    isrVersion @2 :UInt64;
    from @3 :UInt64;
    to @4 :UInt64;              # 0: any electable copy but `from`.
  }
  struct ShardRef {
    shard @0 :UInt32;
    lineage @1 :UInt64;
    epoch @2 :UInt64;           # Not read by recover.
  }
  struct SetPendingVoters {
    from @0 :List(Voter);
    to @1 :List(Voter);
  }
  struct SetConfig {
    replicas @0 :UInt32;        # 0: unchanged.
    minIsrSetting @1 :UInt32;   # 0: unchanged.
  }
}
