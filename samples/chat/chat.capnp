@0xa86d0c4f13b7e925;
using Troupe = import "/troupe/actors/troupe.capnp";
interface Guest $Troupe.actor() {
  said @0 (who :Text, text :Text) -> ();
}
