@0xe7f3a1c95b2d8046;

interface Greeter {
  greet @0 (name :Text) -> (greeting :Text, times :UInt64);
}

struct GreeterState { times @0 :UInt64; }
