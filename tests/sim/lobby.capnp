# A lobby that pushes what is said in it to the observers of clients.
@0xe1c7a94b3f60d285;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Guest $Troupe.actor() {
  said @0 (who :Text, text :Text) -> (heard :UInt64);
}

interface Lobby $Troupe.actor(state = "LobbyState") {
  join @0 (name :Text, guest :Guest) -> ();
  say @1 (who :Text, text :Text) -> (heard :UInt64);
  # Waits for each guest, and puts out those that are gone.
  announce @2 (who :Text, text :Text, times :UInt32) -> ();
  # Waits for none. Several times: numbered.
  members @3 () -> (names :Text) $Troupe.readOnly;
  ask @4 (name :Text, text :Text, deadlineMs :UInt32) -> (heard :UInt64, error :Text);
  # One guest; its error is the answer.
  flood @5 (name :Text, text :Text, times :UInt32) -> (answered :UInt32, refused :UInt32,
                                                       error :Text);
  # All at once; `refused`: OVERLOADED.
}

struct LobbyState {
  members @0 :List(Member);
  struct Member {
    name @0 :Text;
    guest @1 :Guest;
  }
}
