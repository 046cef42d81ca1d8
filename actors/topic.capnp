# Topics: what is published to a name goes to all who have subscribed to it. See docs/guide/topics.md
# and docs/protocol.md P6.19; troupe/actors/topic.h has what programs call.

@0xc94e7f1ab2036d58;

using Cxx = import "/capnp/c++.capnp";
using Troupe = import "/troupe/actors/troupe.capnp";
$Cxx.namespace("troupe::schema");

interface Listener {
  # What the interface of a topic may extend, for its subscribers to be told of what they have missed.

  missed @0 (topic :Text, count :UInt64, next :UInt64) -> ();
  # So many messages are not in the topic's log any more; the next one is of that number.
}

struct TopicMessage {
  # A call that each subscriber is to get.
  interface @0 :UInt64;
  method @1 :UInt16;
  params @2 :Data;  # A message in standard framing, with the table of its refs behind it.
}

interface Topic {
  # The actor. Its key is the topic's name, "@", and the id of the language, the interface of its
  # subscribers, in 16 hexadecimal digits. Messages have numbers, from 1.

  publish @0 (messages :List(TopicMessage)) -> (first :UInt64);
  # `first`: the number of the first of them.

  subscribe @1 (subscriber :Troupe.ActorRef, from :UInt64) -> (next :UInt64, refused :Text);
  # A subscriber gets each message from the number `from` on, or from now on if that is 0. One that
  # has subscribed already goes on, or anew from there. `next`: the number of the first that it gets.
  # `refused`: why not.

  unsubscribe @2 (subscriber :Troupe.ActorRef) -> (was :Bool);

  isSubscribed @3 (subscriber :Troupe.ActorRef) -> (is :Bool) $Troupe.readOnly;

  look @4 () -> (first :UInt64, next :UInt64, bytes :UInt64, subscribers :UInt32) $Troupe.readOnly;
  # The log: numbers of its first message and of the next to come, and what it takes.
}

interface TopicReader {
  # An observer of a client that reads for an object of the client's.

  deliver @0 (log :UInt64, first :UInt64, messages :List(TopicMessage)) -> (next :UInt64);
  # Messages from the number `first` on, of the topic with that TopicState.log. `next`: what it wants next; lower ones
  # are done with. One that it has already is passed over.
}

struct TopicState {
  log @0 :UInt64;   # Of this life of the topic: one that has lost its state counts anew.
  next @1 :UInt64;  # Number of the next message.
  messages @2 :List(TopicMessage);  # The last ones, up to next - 1.
  subscribers @3 :List(Subscriber);
  nextSerial @4 :UInt64;

  struct Subscriber {
    ref @0 :Troupe.ActorRef;
    serial @1 :UInt64;     # Of the subscription. Rises.
    delivered @2 :UInt64;  # Up to this number nothing is to be delivered any more.
    missed @3 :UInt64;     # Of those, how many it has missed and is not being told of.
    notice @4 :UInt64;     # How many it is being told of, ...
    noticeNext @5 :UInt64; # ... with the number of the next as it was when that began.
  }
}
