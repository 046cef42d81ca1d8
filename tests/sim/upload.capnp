@0xa1f7c3926de0b854;
# A file that is written by streams, and read as one.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe");
using Troupe = import "/troupe/actors/troupe.capnp";

interface Sink $Troupe.actor() {
  # An observer.
  line @0 (number :UInt64, text :Text) -> stream;
}

interface Upload $Troupe.actor(state = "UploadState") {
  write @0 (number :UInt64, chunk :Data) -> stream;
  # `number` rises by one from 0; what does not follow is refused.

  look @1 () -> (chunks :UInt64, bytes :UInt64, refused :UInt64) $Troupe.readOnly;

  read @2 (to :Sink, lines :UInt64, bytes :UInt32) -> (error :Text);
  # Streams so many lines of so many bytes to an observer.

  copy @3 (to :Upload, chunks :UInt64, bytes :UInt32) -> ();
  # The same to another file, within a turn.

  tellEach @4 (to :Upload, chunks :UInt64) -> ();
}

struct UploadState {
  chunks @0 :UInt64;
  bytes @1 :UInt64;
}
