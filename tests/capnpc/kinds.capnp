# Every kind of parameter, result and state that an actor can have.
@0xb85f03d6c41e972a;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("kinds");
using Troupe = import "/troupe/actors/troupe.capnp";
using Money = import "money.capnp";

enum Colour { red @0; green @1; blue @2; }

struct Point {
  # Where something is.
  x @0 :Int32 = -1;
  y @1 :Int32;
  label @2 :Text;
  colour @3 :Colour;
}

struct Shape {  # Not a value: it has a union.
  at @0 :Point;
  union {
    circle @1 :Float64;
    square @2 :Float64;
  }
}

interface Closable {
  # Not an actor itself.
  close @0 () -> (calls :UInt32, last :Text);
  isClosed @1 () -> (closed :Bool) $Troupe.readOnly;
}

interface Kinds extends(Money.Named, Closable)
    $Troupe.actor(state = "KindsState") $Troupe.idleTimeout(milliseconds = 60000) {
  # An actor with a method of every kind.
  #
  # It remembers.

  nothing @0 () -> ();
  # Takes and gives nothing.

  numbers @1 (a :Int8, b :Int16, c :Int32, d :Int64, e :UInt8, f :UInt16, g :UInt32, h :UInt64,
              i :Float32, j :Float64, k :Bool) -> (sum :Float64) $Troupe.readOnly;

  texts @2 (text :Text, data :Data) -> (text :Text, data :Data) $Troupe.readOnly;

  optional @3 (by :UInt64 = 3, name :Text = "say \"hi\"", colour :Colour = blue) -> (text :Text)
      $Troupe.readOnly;

  move @4 (from :Point, colour :Colour) -> (to :Point, colour :Colour) $Troupe.readOnly;

  pay @5 Money.Money -> Money.Money $Troupe.deadline(milliseconds = 1500);
  # The structs themselves are parameter and result.

  sum @6 (numbers :List(UInt64), scale :UInt64) -> (sum :UInt64) $Troupe.readOnly;

  count @7 (to :UInt32) -> (numbers :List(UInt32), note :Text) $Troupe.readOnly;

  draw @8 (shape :Shape, more :List(Shape)) -> (shape :Shape) $Troupe.readOnly;

  echo @9 (anything :AnyPointer) -> (anything :AnyPointer) $Troupe.readOnly;

  reshape @10 Shape -> Shape $Troupe.readOnly;

  audit @11 (ledger :Money.Ledger) -> (lines :UInt32) $Troupe.readOnly;

  class @12 (new :UInt64, delete :Text) -> (class :UInt64, int :Text) $Troupe.readOnly;
  # Names that C++ has taken.

  befriend @13 (friend :Kinds) -> (before :Kinds);
  # Keeps the ref, and gives the one it had.

  friends @14 (all :List(Kinds), named :Money.Named) -> (all :List(Kinds), count :UInt32);
  # Keeps the refs too.

  askFriend @15 (by :UInt64) -> (friendsName :Text);
  # Calls who is kept.

  fail @16 (text :Text) -> ();

  write @17 (chunk :Data, at :UInt64 = 0) -> stream $Troupe.deadline(milliseconds = 2500);
  # Appends to what is written; at 0, anew.

  plot @18 (points :List(Point), label :Text) -> stream;

  written @19 () -> (all :Data) $Troupe.readOnly;
}

struct KindsState {
  calls @0 :UInt32;
  friend @1 :Kinds;
  friends @2 :List(Kinds);
  written @3 :Troupe.ActorRef;
}
