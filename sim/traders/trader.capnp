# Traders: actors that tell, transact, persist, publish, watch and visit each other.
@0xa4f7c1902e6db835;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::sim");
using Troupe = import "/troupe/actors/troupe.capnp";
using Topics = import "/troupe/actors/topic.capnp";

interface Bulletin extends(Topics.Listener) $Troupe.actor() {
  item @0 (from :Text, number :UInt64) -> ();
  # `number` rises by one with each item of one publisher.
}

interface Trader extends(Bulletin) $Troupe.actor(state = "TraderState") {
  pay @0 (to :Text, also :Text, how :Text) -> (paid :UInt64);
  # Tells each of them to receive one. `how`: "fail": and throws; "leave": and asks to go.
  receive @1 (from :Text, number :UInt64) -> ();
  # `number` rises by one with each payment of that payer to this payee.

  move @2 (deal :UInt64, amount :Int64, note :Text) -> ();
  # Part of a transaction. `note`: who is told of the deal; empty: nobody.
  note @3 (deal :UInt64) -> ();
  broker @4 (deal :UInt64, from :Text, to :Text, amount :Int64) -> ();
  # Begins the transaction itself.

  step @5 (entry :UInt64, to :Text, at :Text, how :Text) -> ();
  # Begins the entry, pays one, has that persisted, reads at another one, ends the entry. `how`: "fail early",
  # "fail late": before or after it is persisted.
  tour @6 (entry :UInt64, to :Text) -> () $Troupe.resumable;
  # Begins the entry, has the other one mark it here, ends it.
  visit @7 (entry :UInt64, back :Text) -> ();
  mark @8 (entry :UInt64) -> () $Troupe.reentrant;

  announce @9 (topic :Text, items :UInt32) -> (announced :UInt64);
  # Tells the topic so many items.

  watch @10 (who :Text, how :Text) -> (serial :UInt64, fresh :Bool);
  # And greets it. What is watched already stays so, and is not `fresh`; `how`: "anew": it is taken back, and begun
  # anew.
  watchNode @11 (name :Text) -> (serial :UInt64, fresh :Bool);
  greet @12 (from :Text, serial :UInt64) -> ();
  # Told behind a watch: whoever has heard it is watched.
  end @13 (how :Text) -> (guests :List(Guest));
  # Erases itself. `guests`: who watches it, and are to have a notice. `how`: "fail": and throws.

  show @14 () -> (state :TraderState) $Troupe.readOnly;
}

struct Guest {
  name @0 :Text;
  serial @1 :UInt64;
}

struct TraderState {
  cash @0 :Int64;            # What deals move.
  deals @1 :List(UInt64);
  brokered @2 :List(UInt64);
  notes @3 :List(UInt64);    # Deals of which it was told.
  sent @4 :List(Guest);      # By payee: how many payments.
  received @5 :List(Guest);  # By payer.
  begun @6 :List(UInt64);
  marked @7 :List(UInt64);
  ended @8 :List(UInt64);
  announced @9 :UInt64;
  items @10 :List(Guest);    # Read of the topic, in order.
  watches @11 :List(Guest);  # Whose notice has not come.
  dropped @12 :List(Guest);  # That were taken back.
  notices @13 :List(Guest);
  serial @14 :UInt64;        # Of its newest watch.
  guests @15 :List(Guest);
  wrong @16 :Text;           # What it has seen of itself that must not be; empty: nothing.
}
