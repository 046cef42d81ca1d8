# What docs/guide/failure.md shows of children: a reader that loses its connection.
@0xef61cadfa8bd3123;

using Troupe = import "/troupe/actors/troupe.capnp";

interface Reader $Troupe.actor() {
  next @0 () -> (line :Text);
}

interface Ticker $Troupe.actor(state = "TickerState") {
  poll @0 () -> (line :Text);
}

struct TickerState {
  lines @0 :UInt64;
}
