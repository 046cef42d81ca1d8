# wordcount: one actor per distinct word; its key is the word.

@0xc81e5d20f7a94b36;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Word $Troupe.actor(state = "WordState") {
  add @0 (occurrences :UInt64 = 1) -> (count :UInt64);
  count @1 () -> (count :UInt64) $Troupe.readOnly;
}

struct WordState { count @0 :UInt64; }
