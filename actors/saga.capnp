# How far a saga has come (saga.h), for the state of the actor that runs it.

@0xb7d2f05e9c4a1836;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::schema");

struct SagaProgress {
  done @0 :UInt32;         # Steps that are done, and not undone again.
  failed @1 :Bool;         # One has failed; those before it are being undone.
  failedStep @2 :UInt32;   # Which; from 0.
  error @3 :Text;          # With what.
  trouble @4 :List(Text);  # What could not be undone, and why.
}
