@0xf0b7d2c5816a93e4;
# Readers of a topic, and an actor that publishes.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";
using Topics = import "/troupe/actors/topic.capnp";

interface News extends(Topics.Listener) $Troupe.actor() {
  item @0 (number :UInt64, text :Text) -> ();
  # `number`: of the publisher's count.
  about @1 (subject :News) -> ();
}

interface Reader extends(News) $Troupe.actor(state = "ReaderState") {
  read @0 () -> (numbers :List(UInt64), missed :UInt64, subjects :Text) $Troupe.readOnly;
  follow @1 (topic :Text) -> (first :UInt64);
  # Subscribes itself.
  forget @2 (topic :Text) -> (was :Bool);
}
struct ReaderState {
  numbers @0 :List(UInt64);
  missed @1 :UInt64;
  subjects @2 :Text;
}

interface Editor $Troupe.actor(state = "EditorState") {
  print @0 (topic :Text, items :UInt32, fails :Bool) -> (printed :UInt64);
  # Tells the topic, and counts. A failure takes both back.
  ask @1 (topic :Text) -> (first :UInt64);
  # Publishes one and waits for that.
}
struct EditorState { printed @0 :UInt64; }
